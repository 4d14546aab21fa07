"""Windowed sums of daily sums, of whoever may have changed: [entity, purpose, midnight, w1, w7, …]."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from pipelines.features.sliding import NEVER, DailyRows, Ints, Steps, steps

# Sums of amounts travel as whole millionths.
SCALE = 1_000_000
# Entities whose windows one Python call computes: bounds its memory to some 100 MB.
ENTITIES_PER_BUCKET = 200


@dataclass(frozen=True)
class Measures:
    """What is summed: names in order, those that are amounts (double), the windows in days, and the instants.

    `once` names the sum that counts a day once. `lasts` are kept as the newest ever; `first` as the earliest.
    """

    sums: tuple[str, ...]
    amounts: frozenset[str]
    windows: tuple[int, ...]
    lasts: tuple[str, ...]
    once: str

    def over(self, name: str, days: int) -> Column:
        """The sum of a measure in the window of so many days, from a frame of `windowed`."""
        value = F.get(f"w{days}", F.lit(self.sums.index(name)))
        return value / F.lit(SCALE) if name in self.amounts else value

    def last(self, name: str) -> Column:
        """The newest instant of a kind, null where there is none."""
        return _instant(F.get("lasts", F.lit(self.lasts.index(name))))

    @property
    def schema(self) -> str:
        windows = ", ".join(f"w{w} array<bigint>" for w in self.windows)
        return f"entity string, purpose string, midnight date, {windows}, first bigint, lasts array<bigint>"


def first_instant() -> Column:
    """The earliest instant, null where there is none."""
    return _instant(F.col("first"))


def _instant(micros: Column) -> Column:
    return F.timestamp_micros(F.when(micros != NEVER, micros))


def windowed(
    daily: DataFrame, measures: Measures, purposes: tuple[str, ...], to_midnight: int, entities: int
) -> DataFrame:
    """Values at every midnight at which one may change, up to `to_midnight` (days since 1970-01-01).

    `daily` has [entity, from_day, subject_id, held_from, held_until, day, allowed_purposes, first_event_at] and
    the columns of `measures`. `entities` is how many there are, roughly.
    """
    buckets = max(2, -(-entities // ENTITIES_PER_BUCKET))
    rows = daily.select(
        F.pmod(F.xxhash64("entity"), F.lit(buckets)).alias("bucket"),
        "entity",
        F.unix_date("from_day").alias("from_day"),
        "subject_id",
        "held_from",
        "held_until",
        *packed(measures, purposes),
    )
    return rows.groupBy("bucket").applyInArrow(window_rows(measures, purposes, to_midnight), measures.schema)


def packed(measures: Measures, purposes: tuple[str, ...]) -> list[Column]:
    """What the windows are summed from, of a daily row: day, for_<purpose>, sums, first, lasts."""
    return [
        F.unix_date("day").alias("day"),
        *(F.array_contains("allowed_purposes", p).alias(f"for_{p}") for p in purposes),
        F.array(*(_whole(c, measures) for c in measures.sums)).alias("sums"),
        _micros("first_event_at").alias("first"),
        F.array(*(_micros(c) for c in measures.lasts)).alias("lasts"),
    ]


def _whole(name: str, measures: Measures) -> Column:
    value = F.coalesce(F.col(name), F.lit(0))
    return F.round(value * SCALE).cast("bigint") if name in measures.amounts else value.cast("bigint")


def _micros(name: str) -> Column:
    return F.coalesce(F.unix_micros(name), F.lit(NEVER))


def window_rows(measures: Measures, purposes: tuple[str, ...], to_midnight: int) -> Callable[[pa.Table], pa.Table]:
    """From packed daily rows of whole entities (see `windowed`) the rows of its answer."""
    once = measures.sums.index(measures.once)

    def compute(table: pa.Table) -> pa.Table:
        entity, names = _codes(table["entity"])
        subject, _ = _codes(table["subject_id"])
        from_midnight = np.full(len(names), np.iinfo(np.int64).max)
        np.minimum.at(from_midnight, entity, _ints(table["from_day"]) + 1)
        parts = []
        for purpose in purposes:
            allowed = _ints(pc.cast(table[f"for_{purpose}"], pa.int64())) > 0
            rows = DailyRows(
                entity,
                subject,
                _ints(table["held_from"]),
                _ints(table["held_until"]),
                _ints(table["day"]),
                np.where(allowed[:, None], _matrix(table["sums"], len(measures.sums)), 0),
                np.where(allowed, _ints(table["first"]), NEVER),
                np.where(allowed[:, None], _matrix(table["lasts"], len(measures.lasts)), NEVER),
            )
            found = steps(rows, from_midnight, to_midnight, measures.windows, once)
            parts.append(_as_table(found, names, purpose, measures.windows))
        return pa.concat_tables(parts)

    return compute


def _as_table(found: Steps, names: pa.Array, purpose: str, windows: tuple[int, ...]) -> pa.Table:
    columns: dict[str, pa.Array] = {
        "entity": names.take(pa.array(found.entity)),
        "purpose": pa.array([purpose] * len(found.entity), pa.string()),
        "midnight": pa.array(found.midnight.astype(np.int32), pa.int32()).cast(pa.date32()),
    }
    for i, days in enumerate(windows):
        columns[f"w{days}"] = _lists(found.windows[:, i])
    return pa.table(columns | {"first": pa.array(found.first), "lasts": _lists(found.lasts)})


def _lists(matrix: Ints) -> pa.Array:
    flat = np.ascontiguousarray(matrix)
    offsets = np.arange(len(flat) + 1, dtype=np.int32) * flat.shape[1]
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(flat.reshape(-1)))


def _codes(column: pa.ChunkedArray) -> tuple[Ints, pa.Array]:
    encoded = column.combine_chunks().dictionary_encode()
    return encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64), encoded.dictionary


def _ints(column: pa.ChunkedArray) -> Ints:
    return column.to_numpy().astype(np.int64)


def _matrix(column: pa.ChunkedArray, width: int) -> Ints:
    return column.combine_chunks().flatten().to_numpy().reshape(-1, width)
