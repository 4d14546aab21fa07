"""Whole users and products on their way through a worker: their days' sums in, rows at the moments wanted out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.features.kernel import run_starts
from pipelines.features.opinion_rows import SUMS, Asked, Counted
from pipelines.features.whole_groups import whole_groups

# Rows wanted x days' sums that are looked at together: bounds a task's memory to some 100 MB.
_AT_ONCE = 2_000_000
_FOR_EVER = np.iinfo(np.int64).max
Function = Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]


def made_ddl(windows: Sequence[int]) -> str:
    """Of the rows that are made."""
    sums = ", ".join(f"w{days} array<bigint>" for days in windows)
    return (
        f"entity string, purpose string, midnight bigint, created bigint, {sums}, decayed array<double>, "
        "available bigint, last_negative bigint, quotes array<array<string>>"
    )


def entity_function(windows: Sequence[int], purposes: Sequence[str], to_midnight: int | None) -> Function:
    """The function for `mapInArrow` over whole entities, sorted by `entity_hash`; `made_ddl`.

    A row in has an entity, and either a day's sums (`opinion_rows.DAILY`, held_from, held_until, from_day) or, where
    `midnight` is given, asks for one of that midnight, of a purpose, by what was known at `created` (microseconds).
    With `to_midnight` (days since 1970-01-01) rows are made of every moment up to it at which one may change.
    """

    def make(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for table in whole_groups(batches, key="entity_hash"):
            rows = table.sort_by([("entity", "ascending"), ("day", "ascending"), ("known", "ascending")])
            codes = rows["entity"].combine_chunks().dictionary_encode().indices.to_numpy()
            edges = [*np.flatnonzero(run_starts(codes)), len(codes)]
            for start, end in pairwise(edges):
                yield from _entity(rows.slice(start, end - start), windows, purposes, to_midnight)

    return make


def _entity(
    rows: pa.Table, windows: Sequence[int], purposes: Sequence[str], to_midnight: int | None
) -> Iterator[pa.RecordBatch]:
    is_asked = rows["midnight"].is_valid()
    days, wanted = rows.filter(pc.invert(is_asked)), rows.filter(is_asked)
    entity = rows["entity"][0].as_py()
    for purpose in purposes:
        counted = _counted(days, purpose)
        asked, created = _asked(wanted.filter(pc.equal(wanted["purpose"], purpose)))
        if to_midnight is not None and days.num_rows:
            first = 1 + pc.min(days["from_day"]).as_py()
            midnights = counted.midnights(first, to_midnight, windows)
            asked = Asked(midnights, np.full(len(midnights), _FOR_EVER))
            created = pa.nulls(len(midnights), pa.int64())
        step = max(1, _AT_ONCE // max(1, len(counted.day)))
        for start in range(0, len(asked.midnight), step):
            part = Asked(asked.midnight[start : start + step], asked.known_by[start : start + step])
            size = len(part.midnight)
            columns = {
                "entity": pa.array([entity] * size, pa.string()),
                "purpose": pa.array([purpose] * size, pa.string()),
                "midnight": pa.array(part.midnight),
                "created": created.slice(start, size),
            }
            yield pa.RecordBatch.from_pydict(columns | counted.at(part, windows))


def _asked(rows: pa.Table) -> tuple[Asked, pa.Array]:
    created = rows["created"].combine_chunks()
    return Asked(_ints(rows, "midnight"), created.to_numpy(zero_copy_only=False).astype(np.int64)), created


def _counted(rows: pa.Table, purpose: str) -> Counted:
    sums = rows["sums"].combine_chunks().flatten().to_numpy()
    allowed = [purpose in given.split(",") for given in rows["purposes"].to_pylist()]
    return Counted(
        day=_ints(rows, "day"),
        held_from=_ints(rows, "held_from"),
        held_until=_ints(rows, "held_until"),
        known=_ints(rows, "known"),
        allowed=np.array(allowed, dtype=bool),
        sums=sums.reshape(rows.num_rows, len(SUMS)),
        last_negative=_ints(rows, "last_negative"),
        quotes=rows["quotes"].combine_chunks(),
    )


def _ints(rows: pa.Table, name: str) -> np.ndarray:
    return rows[name].to_numpy().astype(np.int64)
