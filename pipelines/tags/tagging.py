"""Tags of users at moments, from what they did and from their features. Arrow and numpy, in a worker.

Cost ∝ acts before each moment x keys of their items.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from pipelines.tags.acts import ActBook
from pipelines.tags.catalogue import MISSED_DAYS, Tag
from pipelines.tags.confidence import PREFERENCE, RULE, Floats, logit
from pipelines.tags.definition import Definition
from pipelines.tags.evidence import Evidence
from pipelines.tags.models import looked_at
from pipelines.tags.preferences import DAY, Acts, Ints, Seen, figures, seen
from pipelines.tags.rules import Feature, condition_holds, probability, value

COLUMNS = pa.schema(
    [
        ("tags", pa.list_(pa.string())),
        ("confidences", pa.list_(pa.float32())),
        ("evidence", pa.list_(pa.string())),
    ]
)


@dataclass(frozen=True)
class Judged:
    """What is thought of a tag, one entry per moment that it may hold at.

    `names` are the tag's ids there, `place` where in `Seen` a preference comes from (-1: none).
    """

    tag: Tag
    names: list[str]
    moment: Ints
    place: Ints
    score: Floats
    seen: Floats
    confidence: Floats


@dataclass(frozen=True)
class Tagger:
    """Applies a catalogue with its calibration and models.

    `keys` are those that items can be about, sorted; `usual` the shop's shares of them (times, keys), and `times` the
    moments they hold at, ascending, in microseconds since 1970.
    """

    definition: Definition
    keys: tuple[str, ...]
    times: Ints
    usual: Floats

    def tagged(self, moments: pa.Table, acts: pa.Table) -> Iterator[pa.Table]:
        """`moments`, some at a time, with COLUMNS: the tags that hold, strongest first.

        moments: user_id, purpose, at and known_at (microseconds since 1970), and features named `<table>.<feature>`,
        null where unknown, instants in microseconds. acts: of these users, as `ActBook` takes them.
        """
        book = ActBook(acts, self.keys)
        for some, pairs, act in book.pairs(moments):
            features = _features(some)
            whole = self._seen(some, pairs, book)
            judged = self._judged(some, pairs, book, whole, features)
            models = self.definition.models
            evidence = Evidence(some["at"].to_numpy(), book, pairs, act, whole, features, models)
            yield _with_tags(some, judged, evidence)

    def judged(self, moments: pa.Table, acts: pa.Table) -> Iterator[tuple[pa.Table, list[Judged]]]:
        """Some of the moments at a time, and every tag's scores there, whether it holds or not."""
        book = ActBook(acts, self.keys)
        for some, pairs, _ in book.pairs(moments):
            yield some, self._judged(some, pairs, book, self._seen(some, pairs, book), _features(some))

    def _seen(self, moments: pa.Table, pairs: Acts, book: ActBook) -> Seen:
        when = np.searchsorted(self.times, moments["at"].to_numpy())
        return seen(pairs, book.items, self.usual, when, self.definition.catalogue.half_life_days)

    def _judged(
        self, moments: pa.Table, pairs: Acts, book: ActBook, whole: Seen, features: dict[str, Floats]
    ) -> list[Judged]:
        place = {key: number for number, key in enumerate(self.keys)}
        asked = [place[key] for key in self.definition.catalogue.seen_keys() if key in place]
        for (number, figure), values in figures(pairs, book.items, whole, asked).items():
            features[f"seen.{self.keys[number]}.{figure}"] = values

        def feature(name: str) -> Floats:
            # Nobody in the shop can have seen what no item is about.
            return features[name] if name in features else np.zeros(moments.num_rows)

        return [
            self._preference(tag, whole) if tag.kind == "preference" else self._whole(tag, feature, moments.num_rows)
            for tag in self.definition.catalogue.tags
        ]

    def _whole(self, tag: Tag, feature: Feature, moments: int) -> Judged:
        """A tag that may hold at every moment: a rule's or a model's."""
        nothing = np.zeros(moments)
        if tag.kind == "model":
            trees = self.definition.models[tag.id]
            score = trees.scores(looked_at(trees, feature))
        else:
            score = logit(probability(tag, feature))
        confidence = self.definition.curves.get(tag.id, RULE).confidence(score, nothing)
        for condition in tag.among:
            confidence = np.where(condition_holds(condition, value(condition, feature)) < 0.5, 0.0, confidence)
        every = np.arange(moments)
        return Judged(tag, [tag.id] * moments, every, np.full(moments, -1), score, nothing, confidence)

    def _preference(self, tag: Tag, whole: Seen) -> Judged:
        names = [_name(tag, key) for key in self.keys]
        mine = np.array([name is not None for name in names], dtype=bool)
        place = np.flatnonzero(mine[whole.key]) if len(mine) else np.zeros(0, dtype=np.int64)
        moment = whole.moment[place]
        score, total = np.log(whole.lift[place]), whole.total[moment]
        confidence = self.definition.curves.get(tag.id, PREFERENCE).confidence(score, total)
        found = [name for key in whole.key[place].tolist() if (name := names[key]) is not None]
        return Judged(tag, found, moment, place, score, total, confidence)


def _name(tag: Tag, key: str) -> str | None:
    """What a preference for a key is called; None where the tag does not say it."""
    facet, colon, value = key.partition(":")
    if colon:
        return f"{tag.id}:{value}" if tag.facet == facet else None
    return tag.id if tag.topic == key else None


def _features(moments: pa.Table) -> dict[str, Floats]:
    """Features by name, NaN where unknown; instants as their age in days at the moment."""
    at, found = moments["at"].to_numpy(), {}
    for name in moments.column_names:
        if "." in name:
            values = moments[name].cast(pa.float64()).to_numpy(zero_copy_only=False)
            found[name] = (at - values) / DAY if name.endswith("_at") else values
    last, active = (found.get(f"user_activity.{name}") for name in ("last_event_at", "active_days_90d"))
    if last is not None and active is not None:
        found[MISSED_DAYS] = last * active / 90
    return found


def _with_tags(moments: pa.Table, judged: list[Judged], evidence: Evidence) -> pa.Table:
    given: list[list[tuple[float, str, Tag, int]]] = [[] for _ in range(moments.num_rows)]
    purposes = moments["purpose"].to_pylist()
    for one in judged:
        for row in np.flatnonzero(one.confidence >= one.tag.threshold).tolist():
            moment = int(one.moment[row])
            if purposes[moment] in one.tag.purposes:
                confidence = round(float(one.confidence[row]), 2)
                given[moment].append((-confidence, one.names[row], one.tag, int(one.place[row])))
    rows = [sorted(tags, key=lambda tag: tag[:2]) for tags in given]
    columns = (
        [[name for _, name, _, _ in tags] for tags in rows],
        [[-confidence for confidence, *_ in tags] for tags in rows],
        [[evidence.of(moment, tag, place) for *_, tag, place in tags] for moment, tags in enumerate(rows)],
    )
    for field, values in zip(COLUMNS, columns, strict=True):
        moments = moments.append_column(field, pa.array(values, field.type))
    return moments
