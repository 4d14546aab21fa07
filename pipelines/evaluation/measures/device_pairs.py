"""Does the store know which devices are whose?"""

from __future__ import annotations

import numpy as np

from encoders.evaluation.estimates import share
from pipelines.evaluation.measure import Absent, Evidence, Measure, Measured, figures
from pipelines.evaluation.plots import bars
from pipelines.identity.subject_keys import DEVICE
from pipelines.tables.sources import IDENTITIES


def _take(evidence: Evidence) -> Measured | Absent:
    rows = evidence.truth.rows("identities", identifier_type=DEVICE)
    accounts = [row for row in rows if row["user_id"] is not None]
    true = {_pair(evidence, row) for row in accounts if row["belongs"]}
    told = {_pair(evidence, row) for row in accounts if row["belongs"] and row["declared"]}
    links = evidence.published.rows(
        IDENTITIES,
        ["identifier_type", "identifier", "user_id"],
    ).to_pylist()
    linked = {(row["identifier"], row["user_id"]) for row in links if row["identifier_type"] == DEVICE}
    if not linked:
        return Absent("no device is linked to a user")
    found = figures(
        ("device and account", "precision", share(np.array([pair in true for pair in sorted(linked)]))),
        ("device and account", "recall", share(np.array([pair in linked for pair in sorted(true)]))),
        ("of those the shop was told", "recall", share(np.array([pair in linked for pair in sorted(told)]))),
    )
    return Measured(found, bars(found))


def _pair(evidence: Evidence, row: dict[str, str]) -> tuple[str, str]:
    return evidence.device_key(row["identifier"]), evidence.user_key(row["user_id"])


DEVICE_PAIRS = Measure(
    "device_pairs",
    "Devices and accounts",
    "Pairs of a device and an account that the store has ever linked, against the true ones. The shop is not told of "
    "devices on which their owner never logged in, so that links alone cannot find them; and it is told of terminals "
    "in its stores on which many logged in and which belong to nobody.",
    _take,
)
