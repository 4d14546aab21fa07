"""Are the tags that users have those that are planted in them?"""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow.compute as pc

from encoders.evaluation.estimates import ratio, share
from pipelines.evaluation.measure import Absent, Evidence, Figure, Measure, Measured, figures
from pipelines.evaluation.planted_tags import TASTE, planted
from pipelines.evaluation.plots import bars
from pipelines.tables.features import USER_TAGS
from pipelines.tables.sources import EVENTS

LEAST_EVENTS = 20


def _take(evidence: Evidence) -> Measured | Absent:
    if not evidence.published.release.serves(USER_TAGS):
        return Absent(f"release {evidence.published.release.name} was made before there were tags")
    given = _given(evidence)
    known = _well_known(evidence)
    found: list[Figure] = []
    for tag, truths in planted(evidence.truth, evidence.as_of).items():
        rows = [_counts(truth, given.get(user, {}).get(tag, {})) for user, truth in truths.items() if user in known]
        hits, said, there = np.array(rows, dtype=float).reshape(-1, 3).T
        if not there.sum():
            continue
        sure = [
            confidence for user in truths if user in known for confidence in given.get(user, {}).get(tag, {}).values()
        ]
        found += figures(
            (tag, "precision", ratio(hits, said)),
            (tag, "mean confidence of those given", share(sure)),
            (tag, "recall", ratio(hits, there)),
            (tag, "F1", ratio(2 * hits, said + there)),
        )
    if not found:
        return Absent(f"no user with {LEAST_EVENTS} events has a planted tag")
    shown = [figure for figure in found if figure.quantity in {"precision", "recall"}]
    return Measured(tuple(found), bars(shown))


def _given(evidence: Evidence) -> dict[str, dict[str, dict[str | None, float]]]:
    """By the truth's user and by tag: values (None: the tag has none) with their confidence."""
    ids = {evidence.user_key(row["user_id"]): row["user_id"] for row in evidence.truth.rows("users")}
    rows = evidence.published.latest(USER_TAGS, ["tags", "confidences"], purpose="personalisation")
    found: dict[str, dict[str, dict[str | None, float]]] = {}
    for row in rows.to_pylist():
        if row["user_id"] not in ids:
            continue
        tags = found.setdefault(ids[row["user_id"]], {})
        for name, confidence in zip(row["tags"], row["confidences"], strict=True):
            tag, _, value = name.partition(":")
            tags.setdefault(tag, {})[value or None] = confidence
    return found


def _well_known(evidence: Evidence) -> set[str]:
    """Users of the truth with LEAST_EVENTS events of their own and a profile for personalisation."""
    acted = evidence.published.rows(EVENTS, ["subject_id"])["subject_id"]
    counts = Counter({row["values"]: row["counts"] for row in pc.value_counts(acted).to_pylist()})
    profiles = set(evidence.published.latest(USER_TAGS, ["tags"], purpose="personalisation")["user_id"].to_pylist())
    keys = ((user["user_id"], evidence.user_key(user["user_id"])) for user in evidence.truth.rows("users"))
    return {user for user, key in keys if counts[key] >= LEAST_EVENTS and key in profiles}


def _counts(truth: frozenset[str | None], given: dict[str | None, float]) -> tuple[int, int, int]:
    return len(truth & given.keys()), len(given), len(truth)


TAGS = Measure(
    "tags",
    "Tags",
    f"Of users with at least {LEAST_EVENTS} events and a profile: whether the tags given are planted and the planted "
    f"given. A taste is planted where at least {TASTE:.0%} of the user's attention along its axis goes to it, a life "
    "cycle from the day it turns. Much that is planted never shows in what a user did; how sure the given tags are "
    "should be how often they hold.",
    _take,
)
