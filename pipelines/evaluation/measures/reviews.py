"""Where a review's sentiment and aspects are published: any declared table that has them, by review."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipelines.evaluation.measure import Evidence
from pipelines.tables import DECLARED


def judged_reviews(evidence: Evidence, columns: Sequence[str]) -> dict[str, dict[str, Any]] | None:
    """Rows by review_id of the first published table that has the columns; None where no table has."""
    for table in DECLARED:
        if {"review_id", *columns} <= set(table.column_names) and evidence.published.exists(table):
            rows = evidence.published.rows(table, ["review_id", *columns]).to_pylist()
            return {row["review_id"]: row for row in rows}
    return None
