"""Why a tag is given, as JSON: what speaks for it and what against, as of the row's time.

A preference: {"share", "usual", "for": [item…], "against": [item…]}, each item (a product or search text) with `id`,
`weight` (its part of all that was seen), `acts` (how many of each type) and `last` (the day of the newest, UTC). A
rule: {"for": [fact…], "against": [fact…]}, each fact with `feature`, `value` (null: unknown; of an instant its day)
and the bounds it was held against. A model: {"model": its URI, "usual": the probability of the usual log-odds, "for":
[sign…], "against": [sign…]}, each sign with `feature`, `value` and `odds`, how many times they are for its sake what
they were.
"""

from __future__ import annotations

import json
from functools import cached_property
from math import exp
from typing import Any

import numpy as np

from pipelines.tags.acts import EVENT_TYPES, ActBook
from pipelines.tags.catalogue import Condition, Tag
from pipelines.tags.models import Models, features_of, looked_at
from pipelines.tags.preferences import DAY, Acts, Floats, Ints, Seen
from pipelines.tags.rules import condition_holds, value

FOR, AGAINST = 3, 2
# Of what a feature adds to the log-odds: less is no reason.
_LEAST_SIGN = 0.05
# Of a moment's heaviest products so many are looked at for what speaks against a preference.
_HEAVIEST = 8


class Evidence:
    """Of some moments (microseconds since 1970): `acts` of a book, and where in it they are, what was seen, and the
    features.
    """

    def __init__(
        self,
        at: Ints,
        book: ActBook,
        acts: Acts,
        of_book: Ints,
        whole: Seen,
        features: dict[str, Floats],
        models: Models,
    ) -> None:
        self._at, self._seen, self._features, self._models = at, whole, features, models
        self._acts, self._names = acts, book.names
        self._types, self._products = book.event_type[of_book], book.items.product[acts.item]
        self._width = len(book.names) + 1
        self._of_models: dict[str, tuple[float, Floats, tuple[str, ...]]] = {}

    def of(self, moment: int, tag: Tag, place: int) -> str:
        """The evidence of a tag at a moment; `place` as in `Judged`."""
        if place >= 0:
            said = self._of_preference(moment, place)
        else:
            said = self._of_model(moment, tag) if tag.kind == "model" else self._of_rule(moment, tag)
        return json.dumps(said, ensure_ascii=False, separators=(",", ":"))

    def _of_preference(self, moment: int, place: int) -> dict[str, Any]:
        whole = self._seen
        start, end = whole.part_starts[place], whole.part_starts[place + 1]
        total = float(whole.total[moment])
        mine = set(whole.part_product[start:end].tolist())
        weights = whole.part_weight[start : min(end, start + FOR)].tolist()
        products = whole.part_product[start : start + len(weights)].tolist()
        other = [(product, weight) for product, weight in self._heaviest(moment) if product not in mine][:AGAINST]
        return {
            "share": round(float(whole.share[place]), 2),
            "usual": round(float(whole.usual[whole.when[moment], whole.key[place]]), 2),
            "for": [self._product(moment, one, weight / total) for one, weight in zip(products, weights, strict=True)],
            "against": [self._product(moment, one, weight / total) for one, weight in other],
        }

    def _of_rule(self, moment: int, tag: Tag) -> dict[str, Any]:
        sides: dict[str, list[dict[str, Any]]] = {"for": [], "against": []}
        for condition in tag.conditions:
            number = value(condition, lambda name: self._feature(name, moment))
            holds = condition_holds(condition, number)[0] >= 0.5
            sides["for" if holds else "against"].append(self._fact(moment, condition, float(number[0])))
        return dict(sides)

    def _of_model(self, moment: int, tag: Tag) -> dict[str, Any]:
        usual, added, names = self._added(tag)
        order = np.argsort(-np.abs(added[moment]), kind="stable").tolist()
        sides: dict[str, list[dict[str, Any]]] = {"for": [], "against": []}
        for side, most in (("for", FOR), ("against", AGAINST)):
            sign = 1 if side == "for" else -1
            found = [place for place in order if sign * added[moment, place] > _LEAST_SIGN][:most]
            sides[side] = [self._sign(moment, names[place], float(added[moment, place])) for place in found]
        return {"model": tag.model, "usual": round(1 / (1 + exp(-usual)), 2), **sides}

    def _sign(self, moment: int, feature: str, added: float) -> dict[str, Any]:
        number = float(self._feature(feature, moment)[0])
        return {"feature": feature, "value": self._known(moment, feature, number), "odds": round(exp(added), 2)}

    def _added(self, tag: Tag) -> tuple[float, Floats, tuple[str, ...]]:
        """The usual log-odds of a model's tag, what each feature adds to them at each moment, and the features."""
        if tag.id not in self._of_models:
            trees = self._models[tag.id]
            rows = looked_at(trees, lambda name: self._features[name])
            self._of_models[tag.id] = (*trees.contributions(rows), features_of(trees))
        return self._of_models[tag.id]

    def _fact(self, moment: int, condition: Condition, number: float) -> dict[str, Any]:
        known = self._known(moment, condition.feature, number)
        said = {"over": condition.over, "at_least": condition.at_least, "at_most": condition.at_most}
        return {"feature": condition.feature, "value": known} | {k: v for k, v in said.items() if v is not None}

    def _known(self, moment: int, feature: str, number: float) -> float | str | None:
        """A feature's value as people read it: an instant as its day."""
        if np.isnan(number):
            return None
        return self._day(moment, number * DAY) if feature.endswith("_at") else round(number, 2)

    def _feature(self, name: str, moment: int) -> Floats:
        values = self._features.get(name)
        return np.zeros(1) if values is None else values[moment : moment + 1]

    def _product(self, moment: int, product: int, weight: float) -> dict[str, Any]:
        place = int(np.searchsorted(self._summary[0], moment * self._width + product))
        acts = {EVENT_TYPES[kind]: int(n) for kind, n in enumerate(self._summary[1][place]) if n}
        last = self._day(moment, float(self._summary[2][place]))
        return {"id": self._names[product].as_py(), "weight": round(weight, 2), "acts": acts, "last": last}

    def _day(self, moment: int, age: float) -> str:
        """The UTC day that is `age` microseconds before a moment."""
        return str(np.datetime64(int(self._at[moment] - age), "us").astype("datetime64[D]"))

    @cached_property
    def _summary(self) -> tuple[Ints, Ints, Ints]:
        """Of each pair (moment, product), sorted: its code, acts by type (pairs, types), age of the newest."""
        codes, inverse = np.unique(self._acts.moment * self._width + self._products, return_inverse=True)
        counts = np.bincount(inverse * len(EVENT_TYPES) + self._types, minlength=len(codes) * len(EVENT_TYPES))
        youngest = np.full(len(codes), np.iinfo(np.int64).max)
        np.minimum.at(youngest, inverse, self._acts.age)
        return codes, counts.reshape(len(codes), len(EVENT_TYPES)), youngest

    def _heaviest(self, moment: int) -> list[tuple[int, float]]:
        return self._heavy.get(moment, [])

    @cached_property
    def _heavy(self) -> dict[int, list[tuple[int, float]]]:
        """The heaviest products of each moment."""
        found: dict[int, list[tuple[int, float]]] = {}
        moments, products, weights = self._seen.product_moment, self._seen.product, self._seen.product_weight
        order = np.lexsort((products, -weights, moments))
        edges = np.searchsorted(moments[order], np.arange(len(self._seen.total) + 1))
        for moment in range(len(self._seen.total)):
            top = order[edges[moment] : min(edges[moment + 1], edges[moment] + _HEAVIEST)]
            found[moment] = list(zip(products[top].tolist(), weights[top].tolist(), strict=True))
        return found
