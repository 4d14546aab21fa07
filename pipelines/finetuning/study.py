"""What was gathered, in numbers: contents, texts and pairs by their places, as the training takes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import torch
from scipy import sparse

from encoders.errors import ContentError
from encoders.finetuning.lessons import Lessons, Pairs
from encoders.finetuning.model import Material
from encoders.text import normalise_text
from pipelines.errors import TooLittleToLearnError
from pipelines.finetuning.catalogue import Offer
from pipelines.finetuning.gathered import BehaviourPairs, Gathered
from pipelines.finetuning.held_out import HeldOut, held_out
from pipelines.finetuning.naming import Naming, naming

MIN_PAIRS = 32
MIN_PRODUCTS = 16
MIN_USERS = 8
# A product's vector is of all its pictures; for training its first ones tell enough.
_MOST_PICTURES = 8


@dataclass(frozen=True)
class Contents:
    """What is encoded: pictures by hash, texts, and contents with the places of their pictures."""

    pictures: tuple[str, ...]
    texts: tuple[str, ...]
    sets: Mapping[str, tuple[str, ...]]

    @classmethod
    def of(cls, gathered: Gathered) -> Contents:
        """All that is learned from or judged by, each once and in one order."""
        products = [offer for offered in gathered.offered.values() for offer in offered]
        words = {offer.title for offer in products} | {offer.category for offer in products if offer.category}
        queries = {q for part in (gathered.learned, gathered.later) for q in part.searched["query"].to_pylist()}
        words |= {text for text in map(_text, queries) if text}
        sets = {content: members[:_MOST_PICTURES] for content, members in sorted(gathered.sets.items())}
        pictures = sorted({picture for members in sets.values() for picture in members})
        return cls(tuple(pictures), tuple(sorted(words)), sets)


@dataclass(frozen=True)
class Study:
    """All that a training takes, and what it is judged by. `counts` say how much there is."""

    material: Material
    learned: Lessons
    later: Lessons
    ending: HeldOut
    test: HeldOut
    naming: Naming
    counts: Mapping[str, int]


def study(gathered: Gathered, contents: Contents, features: torch.Tensor, text_inputs: torch.Tensor) -> Study:
    """Raises TooLittleToLearnError where too few pairs, products or users are left."""
    readable = ~torch.isnan(features).any(dim=1)
    place = {picture: row for row, picture in enumerate(contents.pictures) if readable[row]}
    shown = {c: [place[m] for m in members if m in place] for c, members in contents.sets.items()}
    shown = {content: pictures for content, pictures in shown.items() if pictures}
    number = {content: row for row, content in enumerate(shown)}
    texts = {text: row for row, text in enumerate(contents.texts)}
    windows, offered = gathered.windows, gathered.offered
    then, later = offered[windows.learn], offered[windows.test]
    numbering = _Numbering(list(shown.values()), len(contents.pictures), number, texts)
    learned = numbering.lessons(gathered.learned, then)
    ending, test = (
        held_out(gathered.behaviour, cut, offered[cut], number, gathered.refused)
        for cut in (windows.learn, windows.test)
    )
    counts = {f"pairs, {kind}": len(pairs) for kind, pairs in learned.pairs.items()} | {
        "products learned from": int((learned.category >= 0).sum()),
        "pictures": len(place),
        "users who end it": len(ending),
        "users who judge it": len(test),
    }
    _require_enough(counts)
    names = naming(later, frozenset(offer.product_id for offer in then), number, texts)
    return Study(
        Material(torch.nan_to_num(features), numbering.members(), text_inputs),
        learned,
        numbering.lessons(gathered.later, later),
        ending,
        test,
        names,
        counts,
    )


def _require_enough(counts: Mapping[str, int]) -> None:
    behaviour = counts["pairs, search"] + counts["pairs, together"]
    least = {
        "pairs of products and queries from behaviour": (behaviour, MIN_PAIRS),
        "products with a title and a picture that can be read": (counts["products learned from"], MIN_PRODUCTS),
        "users with a purchase to end the training by": (counts["users who end it"], MIN_USERS),
        "users with a purchase to judge it by": (counts["users who judge it"], MIN_USERS),
    }
    lacking = [f"{found} {what} ({needed} are needed)" for what, (found, needed) in least.items() if found < needed]
    if lacking:
        raise TooLittleToLearnError(f"the home has {'; '.join(lacking)}; bring more behaviour in")


@dataclass(frozen=True)
class _Numbering:
    """Places of contents and texts; `shown` are the places of each content's pictures."""

    shown: Sequence[Sequence[int]]
    pictures: int
    contents: Mapping[str, int]
    texts: Mapping[str, int]

    def members(self) -> torch.Tensor:
        """(contents, most), filled up with -1."""
        most = max((len(places) for places in self.shown), default=1)
        rows = [[*places, *[-1] * (most - len(places))] for places in self.shown]
        return torch.tensor(rows, dtype=torch.int64).reshape(len(rows), most)

    def lessons(self, behaviour: BehaviourPairs, offered: Sequence[Offer]) -> Lessons:
        """Pairs of the products on offer, and which content is of what category."""
        on_offer = [offer for offer in offered if offer.content_id in self.contents]
        of_product = {offer.product_id: self.contents[offer.content_id] for offer in on_offer}
        category = np.full(len(self.contents), -1, np.int64)
        codes = {name: code for code, name in enumerate(sorted({offer.category for offer in on_offer}))}
        for offer in on_offer:
            category[self.contents[offer.content_id]] = codes[offer.category]
        titles = [(self.texts[offer.title], of_product[offer.product_id], 1.0) for offer in on_offer]
        asked = {query: self.texts.get(_text(query) or "") for query in set(behaviour.searched["query"].to_pylist())}
        pairs = {
            "title": _pairs(titles),
            "search": _known(behaviour.searched, asked, of_product),
            "together": _known(behaviour.together, of_product, of_product),
        }
        return Lessons(pairs, category, self._showing(), len(self.texts))

    def _showing(self) -> sparse.csr_array:
        rows = [row for row, places in enumerate(self.shown) for _ in places]
        columns = [place for places in self.shown for place in places]
        ones = np.ones(len(rows), np.float32)
        return sparse.csr_array((ones, (rows, columns)), shape=(len(self.shown), self.pictures))


def _known(rows: pa.Table, left: Mapping[str, int | None], right: Mapping[str, int]) -> Pairs:
    """Pairs both sides of which have a place, and not the same one."""
    found = []
    for first, second, weight in zip(*(column.to_pylist() for column in rows.columns), strict=True):
        a, b = left.get(first), right.get(second)
        if a is not None and b is not None and (left is not right or a != b):
            found.append((a, b, float(weight)))
    return _pairs(found)


def _pairs(rows: Sequence[tuple[int, int, float]]) -> Pairs:
    left, right, weight = np.array(rows, np.float64).reshape(-1, 3).T
    return Pairs(left.astype(np.int64), right.astype(np.int64), weight)


def _text(query: str) -> str | None:
    try:
        return normalise_text(query)
    except ContentError:
        return None
