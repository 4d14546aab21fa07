"""What the next-purchase ranker sees of a user and a product at a cut: with and without what is multimodal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from pipelines.consumers.baselines import by_greatest, popularity
from pipelines.consumers.catalogue import Catalogue
from pipelines.consumers.likeness import PAIRS, centred, mean_of, standardised
from pipelines.consumers.pulled import Floats32, Pulled
from pipelines.tables.definitions import LAST_PRODUCTS
from pipelines.tables.features import USER_ACTIVITY, USER_RECENT_PRODUCTS, USER_VISUAL_INTEREST
from pipelines.tables.schema import Table

Ints = npt.NDArray[np.int64]
# Of a user, for the ranker to weigh the rest by.
_OF_USER = ("views_7d", "views_30d", "searches_7d", "searches_30d", "cart_adds_30d", "purchases_30d", "purchases_90d",
            "active_days_30d", "first_event_at", "last_event_at")  # fmt: skip
_NEAREST_OF = 10  # last products that a product is compared with
_FADE = 0.85  # weight of each next of the last products
MULTIMODAL = (*(pair.name for pair in PAIRS), "like_last_image", "like_last_text", "like_newest_image",
              "like_newest_text", "like_medoids", "like_history_image", "like_history_text")  # fmt: skip
BEHAVIOUR = ("item_knn", "item_knn_share", "own_total", "own_weight", "own_purchases", "own_last_purchase",
             "seen_place", "bought_place", "category_share", "brand_share", "price_off", "price_above",
             "popularity", "age")  # fmt: skip


@dataclass(frozen=True)
class UserSide:
    """Pulled features of users at a cut, in one order; lists as places in the catalogue, -1 where there is none."""

    numbers: Floats32
    seen: Ints
    bought: Ints
    medoids: Ints
    vectors: dict[str, Floats32 | None]

    @classmethod
    def of(cls, pulled: Pulled, cut: datetime, catalogue: Catalogue) -> UserSide:
        activity = pulled.numbers((USER_ACTIVITY,), cut)

        def places(feature: str, table: Table = USER_RECENT_PRODUCTS) -> Ints:
            name = pulled.name_of(table, feature)
            return _places(pulled.columns([name], cut)[name], catalogue)

        return cls(
            activity.values[:, [activity.names.index(name) for name in _OF_USER]],
            places("last_product_ids"),
            places("last_purchased_product_ids"),
            places("medoid_product_ids", USER_VISUAL_INTEREST),
            {pair.name: pulled.vectors(pair.table, pair.feature, cut) for pair in PAIRS},
        )

    def rows(self, chosen: slice) -> UserSide:
        vectors = {name: None if v is None else v[chosen] for name, v in self.vectors.items()}
        return UserSide(self.numbers[chosen], self.seen[chosen], self.bought[chosen], self.medoids[chosen], vectors)

    def __len__(self) -> int:
        return len(self.numbers)


@dataclass(frozen=True)
class RankingFeatures:
    """Makes features (users, products, names) of users at a cut, float32, NaN where nothing is known."""

    catalogue: Catalogue

    @property
    def names(self) -> tuple[str, ...]:
        """First what is not multimodal."""
        return (*BEHAVIOUR, *self.catalogue.numbers.names, *_OF_USER, *MULTIMODAL)

    @property
    def plain(self) -> int:
        """How many of the names are not multimodal."""
        return len(self.names) - len(MULTIMODAL)

    def of(self, users: UserSide, behaviour: dict[str, Floats32]) -> Floats32:
        """`behaviour` holds item_knn, own_weight, own_purchases and own_last_purchase, each (users, products)."""
        n, p = len(users), len(self.catalogue)
        columns = (
            behaviour
            | self._recent(users)
            | self._prices(users)
            | dict(self._multimodal(users, behaviour["own_weight"]))
        )
        columns |= {"popularity": popularity(self.catalogue), "age": self.catalogue.age}
        # Sums over what was done are small for who did little: to rank by them, they are told by the user's greatest.
        columns["item_knn_share"] = by_greatest(behaviour["item_knn"])
        columns["own_total"] = np.log1p(behaviour["own_weight"]).sum(axis=1, keepdims=True)
        found = np.full((n, p, len(self.names)), np.nan, dtype=np.float32)
        for place, name in enumerate(self.names):
            if name in columns:
                found[:, :, place] = columns[name]
        start = len(BEHAVIOUR)
        width = self.catalogue.numbers.values.shape[1]
        found[:, :, start : start + width] = self.catalogue.numbers.values[None]
        found[:, :, start + width : self.plain] = users.numbers[:, None, :]
        return found

    def _recent(self, users: UserSide) -> dict[str, Floats32]:
        p = len(self.catalogue)
        fade = np.where(users.seen >= 0, _FADE ** np.arange(users.seen.shape[1]), 0.0)
        found = {"seen_place": _first_place(users.seen, p), "bought_place": _first_place(users.bought, p)}
        for name, codes in (("category_share", self.catalogue.category), ("brand_share", self.catalogue.brand)):
            of_seen = np.where(users.seen >= 0, codes[users.seen], -1)
            shares = np.zeros((len(users), p), dtype=np.float32)
            for column in range(users.seen.shape[1]):
                same = (of_seen[:, column, None] == codes[None, :]) & (codes >= 0)[None, :]
                shares += same * fade[:, column, None].astype(np.float32)
            total = fade.sum(axis=1, keepdims=True)
            found[name] = np.where(total > 0, shares / np.where(total > 0, total, 1), np.nan).astype(np.float32)
        return found

    def _prices(self, users: UserSide) -> dict[str, Floats32]:
        """How far a product's price is from the last products' mean, in logarithms."""
        logs = np.log(np.maximum(self.catalogue.numbers.column("price"), 0.01))
        seen = np.where(users.seen >= 0, logs[users.seen], np.nan)
        known = ~np.isnan(seen)
        usual = np.where(known, seen, 0).sum(axis=1) / np.where(known.any(axis=1), known.sum(axis=1), np.nan)
        above = (logs[None, :] - usual[:, None]).astype(np.float32)
        return {"price_above": above, "price_off": np.abs(above)}

    def _multimodal(self, users: UserSide, weights: Floats32) -> Iterator[tuple[str, Floats32]]:
        centres, units = self._centres, self._units
        for pair in PAIRS:
            vectors = users.vectors[pair.name]
            if vectors is not None and pair.product in units and pair.centre in centres:
                yield pair.name, standardised(centred(vectors, centres[pair.centre]) @ units[pair.product].T)
        for name, alike in self._alike.items():
            yield f"like_last_{name}", _nearest(alike, users.seen[:, :_NEAREST_OF])
            yield f"like_newest_{name}", _nearest(alike, users.seen[:, :1])
            yield f"like_history_{name}", _near_history(alike, weights)
        if "image" in self._alike:
            yield "like_medoids", _nearest(self._alike["image"], users.medoids)

    # Of products alone, and the same for all users.

    @cached_property
    def _centres(self) -> dict[str, Floats32]:
        return {name: mean_of(v) for name, v in self.catalogue.vectors.items() if v is not None}

    @cached_property
    def _units(self) -> dict[str, Floats32]:
        vectors = self.catalogue.vectors
        return {name: centred(v, self._centres[name]) for name, v in vectors.items() if v is not None}

    @cached_property
    def _alike(self) -> dict[str, Floats32]:
        """Likeness of products to each other: (products, products), -1 where a vector is missing."""
        of = {"image": "image_vector", "text": "text_vector"}
        units = {name: self._units[kind] for name, kind in of.items() if kind in self._units}
        return {name: np.nan_to_num(v @ v.T, nan=-1.0) for name, v in units.items()}


def _nearest(alike: Floats32, places: Ints) -> Floats32:
    """Of each user the greatest likeness of every product to the products at the given places; NaN without one."""
    found = np.full((len(places), len(alike)), -np.inf, dtype=np.float32)
    for column in range(places.shape[1]):
        at = places[:, column]
        found = np.maximum(found, np.where((at >= 0)[:, None], alike[at], -np.inf))
    return np.where(np.isinf(found), np.nan, found).astype(np.float32)


def _near_history(alike: Floats32, weights: Floats32) -> Floats32:
    """Item-kNN by content: likeness to all that each user acted on, itself excepted; NaN where that is nothing."""
    nearness = np.clip(alike, 0, None)
    np.fill_diagonal(nearness, 0)
    known = (weights > 0).any(axis=1, keepdims=True)
    return np.where(known, standardised(np.log1p(weights) @ nearness), np.nan).astype(np.float32)


def _first_place(places: Ints, products: int) -> Floats32:
    """At which place of each user's list a product first stands, NaN where it does not: (users, products)."""
    found = np.full((len(places), products), np.nan, dtype=np.float32)
    for column in reversed(range(places.shape[1])):
        rows = np.flatnonzero(places[:, column] >= 0)
        found[rows, places[rows, column]] = column
    return found


def _places(lists: pa.ChunkedArray, catalogue: Catalogue) -> Ints:
    """Lists of product ids as places in the catalogue, those not offered left out: (rows, LAST_PRODUCTS)."""
    found = np.full((len(lists), LAST_PRODUCTS), -1, dtype=np.int64)
    for row, ids in enumerate(lists.to_pylist()):
        known = [place for place in catalogue.places(pd.Series(ids or [], dtype=object)) if place >= 0]
        found[row, : len(known)] = known[:LAST_PRODUCTS]
    return found
