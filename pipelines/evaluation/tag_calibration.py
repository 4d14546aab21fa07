"""Calibrating a tag catalogue on the truth of sample shops: every score of every user, held against what is planted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
from pyspark.sql import functions as F

from pipelines.delta import TableStore
from pipelines.evaluation.planted_tags import planted
from pipelines.evaluation.truth import Truth
from pipelines.identity.subject_keys import USER, subject_key
from pipelines.releases.manifest import Release
from pipelines.tables.features import USER_ACTIVITY
from pipelines.tags.calibration import Bools, expected_calibration_error, fit_curve, ranking_quality
from pipelines.tags.confidence import Curve, Floats
from pipelines.tags.definition import definition_of
from pipelines.tags.preferences import Ints
from pipelines.tags.user_tags import numbered, tag_inputs

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

# Users with fewer acts are not judged: what nobody saw of them cannot be known.
LEAST_EVENTS = 20


@dataclass(frozen=True)
class Judgements:
    """Scores of one tag, what was seen, and whether it is planted; `user` numbers the users."""

    score: Floats
    seen: Floats
    holds: Bools
    user: Ints

    def __add__(self, other: Judgements) -> Judgements:
        def joined(a: np.ndarray, b: np.ndarray) -> np.ndarray:
            return np.concatenate([a, b])

        users = other.user + self.user.max(initial=-1) + 1
        return Judgements(
            joined(self.score, other.score),
            joined(self.seen, other.seen),
            joined(self.holds, other.holds),
            joined(self.user, users),
        )


@dataclass(frozen=True)
class Calibrated:
    """A tag's curve, fitted on all, and its quality where each half of the users is judged by the other's curve."""

    tag: str
    curve: Curve
    ranking: float
    calibration_error: float
    precision: float
    recall: float


def judgements(store: TableStore, release: Release, truth: Truth, moments: Sequence[datetime]) -> dict[str, Judgements]:
    """By tag, all that is judged of the truth's users who once had LEAST_EVENTS acts in 90 days. Moments: aware, UTC.

    Raises ReleaseDamagedError.
    """
    definition = definition_of(store.settings, release)
    inputs = tag_inputs(store, release, definition, _moments(store, moments))
    acts, rows = inputs.acts.toArrow(), numbered(inputs.moments.toArrow())
    truths = {round(moment.timestamp() * 1e6): planted(truth, moment) for moment in moments}
    ids = {subject_key(USER, row["user_id"], store.settings): row["user_id"] for row in truth.rows("users")}
    numbers = {key: number for number, key in enumerate(ids)}
    found: dict[str, list[tuple[float, float, bool, int]]] = {}
    for some, judged in inputs.tagger.judged(rows, acts):
        users, at = some["user_id"].to_pylist(), some["at"].to_pylist()
        for one in judged:
            for row, moment in enumerate(one.moment.tolist()):
                user = users[moment]
                of_tag = truths[at[moment]].get(one.tag.id)
                if of_tag is None or user not in ids or ids[user] not in of_tag:
                    continue
                value = one.names[row].partition(":")[2] or None
                holds = value in of_tag[ids[user]]
                found.setdefault(one.tag.id, []).append(
                    (float(one.score[row]), float(one.seen[row]), holds, numbers[user])
                )
    return {
        tag: Judgements(*(np.array(column) for column in zip(*all_of, strict=True))) for tag, all_of in found.items()
    }


def calibrated(tag: str, judged: Judgements) -> Calibrated | None:
    """None where too few truths were judged."""
    curve = fit_curve(judged.score, judged.seen, judged.holds)
    confidence = np.full(len(judged.score), np.nan)
    for half in (0, 1):
        mine = judged.user % 2 == half
        other = fit_curve(judged.score[~mine], judged.seen[~mine], judged.holds[~mine])
        if curve is None or other is None:
            return None
        confidence[mine] = other.confidence(judged.score[mine], judged.seen[mine])
    assert curve is not None
    given = confidence >= 0.5
    hits = float((given & judged.holds).sum())
    return Calibrated(
        tag,
        curve,
        ranking_quality(confidence, judged.holds),
        expected_calibration_error(confidence, judged.holds),
        hits / max(float(given.sum()), 1.0),
        hits / float(judged.holds.sum()),
    )


def _moments(store: TableStore, moments: Sequence[datetime]) -> DataFrame:
    """Users who had at some time done enough in 90 days, by each of the moments, for personalisation."""
    at = F.explode(F.array(*(F.lit(moment) for moment in moments))).alias("at")
    rows = store.read(USER_ACTIVITY).where("purpose = 'personalisation'").select("*", at)
    events = " + ".join(c for c in rows.columns if c.endswith("_90d") and c not in {"sessions_90d", "active_days_90d"})
    most = F.max(F.expr(events)).alias("events")
    known = rows.where("event_timestamp <= at and created_at <= at").groupBy("user_id", "purpose", "at").agg(most)
    return known.where(F.col("events") >= LEAST_EVENTS).select(
        "user_id", "purpose", F.col("at").alias("event_timestamp"), F.col("at").alias("known_at")
    )
