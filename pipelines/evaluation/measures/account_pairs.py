"""Do the identifiers that the store holds tell which accounts are one human's?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from itertools import combinations

import numpy as np

from encoders.evaluation.estimates import share
from pipelines.evaluation.measure import Absent, Evidence, Measure, Measured, figures
from pipelines.evaluation.plots import bars
from pipelines.tables.sources import IDENTITIES

_PERSONAL = ("phone_hash", "email_hash")
# An identifier of more accounts than this is no person's.
_MOST = 10


def _take(evidence: Evidence) -> Measured | Absent:
    signed_up = {row["user_id"] for row in evidence.truth.rows("identities", declared=True)}
    humans: dict[int, set[str]] = defaultdict(set)
    for row in evidence.truth.rows("users"):
        if row["user_id"] in signed_up:
            humans[row["human"]].add(evidence.user_key(row["user_id"]))
    true = _pairs(humans.values())
    holders: dict[str, set[str]] = defaultdict(set)
    for row in evidence.published.rows(IDENTITIES, ["identifier_type", "identifier", "user_id"]).to_pylist():
        if row["identifier_type"] in _PERSONAL:
            holders[row["identifier"]].add(row["user_id"])
    found = _pairs(accounts for accounts in holders.values() if len(accounts) <= _MOST)
    if not true and not found:
        return Absent("no human has two accounts")
    shown = figures(
        ("two accounts", "precision", share(np.array([pair in true for pair in sorted(found)]))),
        ("two accounts", "recall", share(np.array([pair in found for pair in sorted(true)]))),
    )
    return Measured(shown, bars(shown))


def _pairs(groups: Iterable[set[str]]) -> set[tuple[str, str]]:
    return {(first, second) for group in groups for first, second in combinations(sorted(group), 2)}


ACCOUNT_PAIRS = Measure(
    "account_pairs",
    "Accounts of one human",
    "Pairs of accounts that share a telephone number or an address in the store's links, against the pairs that "
    "really are one human's. The store keeps such accounts apart; this says what its links would allow.",
    _take,
)
