"""How much of what users did was about what, beside how much is usual. numpy over whole batches of users, no Spark.

What a user did with a product (or a search text) counts by the act's weight, halved every `half_life` days; of one
product the square root of the sum counts, so that ten looks at one tent are not ten tents, nor is a tent whose price
was changed. What it is about is that of its versions, by their part of the sum. The share of a key (a
facet's value or a topic) is shrunk towards what is usual in the shop, as the mean of a Dirichlet posterior:

    share = (sum over products of sqrt(weight) * its share of the key + PRIOR * usual) / (sum of sqrt(weight) + PRIOR)

and `lift` is share / usual. An item is a version of a product. Cost ∝ acts x keys of their items.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

DAY = 86_400_000_000
PRIOR = 8.0
"""Strength of what is usual, in items once looked at."""
RECENT_DAYS = 14
LEAST_USUAL = 1e-3


@dataclass(frozen=True)
class Acts:
    """Pairs of a moment and an act that counts at it, sorted by moment. All arrays have one entry per pair.

    `age` is in microseconds before the moment; `item` an index into `Items`.
    """

    moment: Ints
    item: Ints
    weight: Floats
    age: Ints
    purchase: Bools
    search: Bools

    def __getitem__(self, rows: Bools | Ints | slice) -> Acts:
        return Acts(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))


@dataclass(frozen=True)
class Items:
    """What each item is about: keys (indices) and shares of item i lie from starts[i] to starts[i + 1].

    `product` says of which product, or search text, it is a version: (items,) indices.
    """

    starts: Ints
    keys: Ints
    shares: Floats
    product: Ints

    def expanded(self, items: Ints) -> tuple[Ints, Ints, Floats]:
        """For a list of items: which place of the list, which key, which share."""
        count = self.starts[items + 1] - self.starts[items]
        place = np.repeat(np.arange(len(items)), count)
        within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
        row = np.repeat(self.starts[items], count) + within
        return place, self.keys[row], self.shares[row]


@dataclass(frozen=True)
class Seen:
    """Of some moments and the keys seen before them: one entry per pair (moment, key), sorted by both.

    `usual` is (times, keys), and `when` (moments,) says which of its rows a moment has. `product_moment`, `product` and
    `product_weight` are the square roots per moment and product, `total` (moments,) their sum. The parts say which
    product carries which weight of a pair, heaviest first: pair i's lie from part_starts[i] to part_starts[i + 1].
    """

    moment: Ints
    key: Ints
    weight: Floats
    total: Floats
    usual: Floats
    when: Ints
    product_moment: Ints
    product: Ints
    product_weight: Floats
    part_starts: Ints
    part_product: Ints
    part_weight: Floats

    @cached_property
    def share(self) -> Floats:
        return shrunk(self.weight, self.total[self.moment], self._usual)

    @cached_property
    def lift(self) -> Floats:
        return self.share / self._usual

    @cached_property
    def _usual(self) -> Floats:
        return self.usual_of(self.moment, self.key)

    def usual_of(self, moment: Ints, key: Ints | int) -> Floats:
        """The shop's share of a key at moments; never zero."""
        return np.maximum(self.usual[self.when[moment], key], LEAST_USUAL)

    def place(self, moment: Ints, key: int) -> Ints:
        """Where the pairs of moments with a key are; -1 where nothing of it was seen."""
        width = self.usual.shape[1]
        codes = self.moment * width + self.key
        wanted = moment * width + key
        found = np.minimum(np.searchsorted(codes, wanted), max(len(codes) - 1, 0))
        return np.where(codes[found] == wanted, found, -1) if len(codes) else np.full(len(moment), -1)


def shrunk(weight: Floats, total: Floats, usual: Floats) -> Floats:
    """The share of weight in total, shrunk towards what is usual."""
    return np.asarray((weight + PRIOR * usual) / (total + PRIOR))


def seen(acts: Acts, items: Items, usual: Floats, when: Ints, half_life_days: float) -> Seen:
    """What was seen before each moment; `usual` and `when` as in `Seen`."""
    moments = len(when)
    decayed = acts.weight * np.exp2(-acts.age / (half_life_days * DAY))
    moment, item, weight = _summed(acts.moment, acts.item, decayed)
    product_moment, product, whole = _summed(moment, items.product[item], weight)
    width = int(items.product.max(initial=0)) + 1
    of_product = np.searchsorted(product_moment * width + product, moment * width + items.product[item])
    root = np.sqrt(whole)
    weight = weight / root[of_product]
    place, key, share = items.expanded(item)
    code = moment[place] * usual.shape[1] + key
    code, part_product, part = _summed(code, items.product[item[place]], weight[place] * share)
    order = np.lexsort((part_product, -part, code))
    code, part, part_product = code[order], part[order], part_product[order]
    pairs, starts = np.unique(code, return_index=True)
    return Seen(
        moment=pairs // usual.shape[1],
        key=pairs % usual.shape[1],
        weight=np.add.reduceat(part, starts) if len(starts) else np.zeros(0),
        total=np.bincount(product_moment, weights=root, minlength=moments).astype(np.float64),
        usual=usual,
        when=when,
        product_moment=product_moment,
        product=product,
        product_weight=root,
        part_starts=np.append(starts, len(code)),
        part_product=part_product,
        part_weight=part,
    )


def figures(acts: Acts, items: Items, whole: Seen, keys: Sequence[int]) -> dict[tuple[int, str], Floats]:
    """The figures of `catalogue.SEEN_FIGURES` that conditions may ask for, per key: (moments,) each.

    `share` and `lift` as above; `products`: distinct ones; `actions_14d` and `actions_before`: acts younger and older
    than RECENT_DAYS; `purchases` and `searches`: acts of those kinds. An item about the key by less than half is not
    counted.
    """
    moments = len(whole.total)
    place, key, share = items.expanded(acts.item)
    found: dict[tuple[int, str], Floats] = {}
    every = np.arange(moments)
    for wanted in keys:
        at = whole.place(every, wanted)
        usual = whole.usual_of(every, wanted)
        weight = np.where(at >= 0, whole.weight[at] if len(whole.weight) else 0.0, 0.0)
        own_share = shrunk(weight, whole.total, usual)
        mine = acts[place[(key == wanted) & (share >= 0.5)]]
        recent = mine.age < RECENT_DAYS * DAY
        distinct = np.unique(mine.moment * len(items.starts) + items.product[mine.item]) // len(items.starts)
        found |= {
            (wanted, "share"): own_share,
            (wanted, "lift"): own_share / usual,
            (wanted, "products"): _count(distinct, moments),
            (wanted, "actions_14d"): _count(mine.moment[recent], moments),
            (wanted, "actions_before"): _count(mine.moment[~recent], moments),
            (wanted, "purchases"): _count(mine.moment[mine.purchase], moments),
            (wanted, "searches"): _count(mine.moment[mine.search], moments),
        }
    return found


def _count(moment: Ints, moments: int) -> Floats:
    return np.bincount(moment, minlength=moments).astype(np.float64)


def _summed(first: Ints, second: Ints, weight: Floats) -> tuple[Ints, Ints, Floats]:
    """Weights of equal (first, second) added up; sorted by both."""
    width = int(second.max(initial=0)) + 1
    codes, inverse = np.unique(first * width + second, return_inverse=True)
    sums = np.bincount(inverse, weights=weight, minlength=len(codes)).astype(np.float64)
    return codes // width, codes % width, sums
