"""Is what was spoilt found, by rule, and nothing else?"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from encoders.evaluation.estimates import share
from pipelines.evaluation.measure import Absent, Evidence, Figure, Measure, Measured, figures
from pipelines.evaluation.plots import bars
from pipelines.tables.schema import Table
from pipelines.tables.sources import EVENTS, MESSAGES, PRODUCTS, QUARANTINE, REVIEWS

Row = dict[str, Any]
_CLEANED: dict[str, Table] = {"events": EVENTS, "reviews": REVIEWS, "messages": MESSAGES, "products": PRODUCTS}


@dataclass(frozen=True)
class _Marks:
    """By what rows can be recognised: (table, key), or (table, some text of theirs) where they have no key."""

    keys: frozenset[tuple[str, str]]
    texts: frozenset[tuple[str, str]]

    def hold(self, table: str, key: str | None, texts: Iterable[str]) -> bool:
        if key is not None:
            return (table, key) in self.keys
        return any((table, text) in self.texts for text in texts)


def _take(evidence: Evidence) -> Measured | Absent:
    dirt = [row for row in evidence.truth.rows("dirt") if row["table"] != "media"]
    if not dirt:
        return Absent("no row was spoilt")
    quarantine = evidence.published.rows(QUARANTINE, ["source_table", "row_key", "record"]).to_pylist()
    caught = _marks_of_quarantine(quarantine)
    rejects = [row for row in dirt if row["fate"] == "reject"]
    planted = _Marks(
        frozenset((row["table"], row["key"]) for row in rejects if row["key"] is not None),
        frozenset((row["table"], row["witness"]) for row in rejects if row["key"] is None),
    )
    right = [planted.hold(row["source_table"], row["row_key"], _values(row["record"])) for row in quarantine]
    kept = [not _found(row, caught) for row in dirt if row["fate"] == "keep"]
    total = figures(
        ("all rules", "recall", share([_found(row, caught) for row in rejects])),
        ("all rules", "precision", share(right)),
        ("duplicates", "taken once", share(_taken_once(evidence, dirt, caught))),
        ("odd but valid", "kept", share(kept)),
    )
    return Measured((*total, *_by_kind(rejects, caught)), bars((*total, *_by_kind(rejects, caught))))


def _by_kind(rejects: list[Row], caught: _Marks) -> list[Figure]:
    hits: dict[str, list[bool]] = defaultdict(list)
    for row in rejects:
        hits[f"{row['table']}.{row['kind']}"].append(_found(row, caught))
    return [figure for kind in sorted(hits) for figure in figures((kind, "recall", share(hits[kind])))]


def _found(row: Row, caught: _Marks) -> bool:
    return caught.hold(row["table"], row["key"], [row["witness"]] if row["witness"] else [])


def _marks_of_quarantine(quarantine: list[Row]) -> _Marks:
    keys = {(row["source_table"], row["row_key"]) for row in quarantine if row["row_key"]}
    unnamed = [row for row in quarantine if not row["row_key"]]
    texts = {(row["source_table"], text) for row in unnamed for text in _values(row["record"])}
    return _Marks(frozenset(keys), frozenset(texts))


def _values(record: str | None) -> list[str]:
    """The texts in a quarantined row; none where it was cut off."""
    try:
        fields = json.loads(record or "{}")
    except ValueError:
        return []
    return [value.strip() for value in fields.values() if isinstance(value, str)]


def _taken_once(evidence: Evidence, dirt: list[Row], caught: _Marks) -> list[bool]:
    """Whether silver holds each repeated row exactly once, and quarantine does not."""
    hits = []
    for name, table in _CLEANED.items():
        repeated = {row["key"] for row in dirt if row["table"] == name and row["fate"] == "duplicate"}
        if repeated and evidence.published.exists(table):
            rows = evidence.published.rows(table, list(table.keys))
            rows = rows.filter(pc.is_in(rows[table.keys[0]], pa.array(sorted(repeated))))
            versions = Counter(tuple(row.values()) for row in rows.to_pylist())
            held = {key[0] for key in versions}
            twice = {key[0] for key, times in versions.items() if times > 1}
            hits += [key in held and key not in twice and (name, key) not in caught.keys for key in sorted(repeated)]
    return hits


DIRTY_ROWS = Measure(
    "dirty_rows",
    "Dirt in rows",
    "Recall: of the rows that were spoilt so that a shop must reject them, the share that quarantine holds. "
    "Precision: of the rows in quarantine, the share that was spoilt. Rows without a key are recognised by other "
    "text of theirs. Of a key that came twice with different content either row may be the one that stays. "
    "A home that took in other drops as well has their rows in its quarantine: precision counts them as wrong.",
    _take,
)
