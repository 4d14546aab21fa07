"""Checking a training set by brute force: another reader (Spark's), plain loops, and no code of the join."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyspark.sql import functions as F

from pipelines.delta import TableStore
from pipelines.errors import EntityFrameError
from pipelines.point_in_time.history_plan import NO_TABLE
from pipelines.serving.delta_source import FEATURE_TABLES
from pipelines.training.entities import TIMESTAMP, EntityFrame
from pipelines.training.manifest import ViewPart
from pipelines.training.training_set import TrainingSet

SAMPLE = 500


@dataclass(frozen=True)
class Difference:
    """A row (counted from 0) whose features of a view are not those that were known at its moment."""

    row: int
    view: str
    moment: datetime
    found: tuple[Any, ...]
    known: tuple[Any, ...]


@dataclass(frozen=True)
class LeakageReport:
    """What the check looked at and found."""

    rows: int
    views: int
    differences: list[Difference] = field(default_factory=list)

    def __str__(self) -> str:
        looked = f"leakage check: {self.rows} rows × {self.views} views derived again by brute force"
        if not self.differences:
            return f"{looked}, all as in the training set"
        rows = len({d.row for d in self.differences})
        first = self.differences[0]
        return (
            f"{looked}, {rows} rows differ; first row {first.row + 1} in {first.view}: has {first.found}, "
            f"known at {first.moment.isoformat()} was {first.known}"
        )


def require_parquet(path: Path) -> None:
    """Raises EntityFrameError for a training set that cannot be checked: CSV loses the types of its values."""
    if path.suffix.lower() != ".parquet":
        raise EntityFrameError(f"{path}: the leakage check reads Parquet; write the training set as .parquet")


def check_leakage(store: TableStore, made: TrainingSet) -> LeakageReport:
    """Derive a sample of rows again from the tables, at the versions of the manifest. As of `require_parquet`."""
    require_parquet(made.path)
    frame = made.entities
    total = frame.rows.num_rows
    chosen = sorted(random.Random(frame.checksum).sample(range(total), min(SAMPLE, total)))
    result = pq.read_table(made.path).take(pa.array(chosen))
    users = frame.keys.take(pa.array(chosen)).to_pylist()
    withheld = set(made.without.keys)
    moments = pc.cast(frame.rows.column(TIMESTAMP).take(pa.array(chosen)), pa.timestamp("us", tz="UTC")).to_pylist()
    differences = []
    for name, part in made.manifest.views.items():
        if not part.features:
            continue
        keys = _keys(frame, part, chosen)
        keys = [None if user in withheld else key for user, key in zip(users, keys, strict=True)]
        known = _known(store, part, {key for key in keys if key is not None})
        names = [f"{name}__{feature}" for feature in part.features]
        for row, key, moment, values in zip(chosen, keys, moments, result.select(names).to_pylist(), strict=True):
            found = tuple(values.values())
            candidates = _best(known.get(key, []), moment, part)
            if not any(_same(found, candidate) for candidate in candidates):
                differences.append(Difference(row, name, moment, found, candidates[0]))
    return LeakageReport(len(chosen), len(made.manifest.views), differences)


def _keys(frame: EntityFrame, part: ViewPart, chosen: list[int]) -> list[str | None]:
    """The chosen rows' ids of the view's entity."""
    column = frame.keys if part.join_key == frame.join_key else frame.products
    assert column is not None
    keys: list[str | None] = column.take(pa.array(chosen)).to_pylist()
    return keys


def _known(store: TableStore, part: ViewPart, keys: set[str]) -> dict[str | None, list[dict[str, Any]]]:
    """All rows of the keys, by key."""
    if part.delta_version == NO_TABLE or not keys:
        return {}
    assert part.delta_version is not None
    rows = store.read_version(FEATURE_TABLES[part.table], part.delta_version)
    for column, value in part.partition.items():
        rows = rows.where(F.col(column) == value)
    asked = store.spark.createDataFrame(pa.table({part.join_key: sorted(keys)}))
    columns = [part.join_key, "event_timestamp", "created_at", *part.features]
    found: dict[str | None, list[dict[str, Any]]] = {}
    for row in rows.join(asked, part.join_key, "left_semi").select(*columns).toArrow().to_pylist():
        found.setdefault(row[part.join_key], []).append(row)
    return found


def _best(rows: list[dict[str, Any]], moment: datetime, part: ViewPart) -> list[tuple[Any, ...]]:
    """The features that may be answered: more than one where rows tie in both times."""
    best: list[dict[str, Any]] = []
    for row in rows:
        late = row["created_at"] is not None and row["created_at"] > moment
        if row["event_timestamp"] is None or row["event_timestamp"] > moment or late:
            continue
        if part.ttl_seconds and (moment - row["event_timestamp"]).total_seconds() > part.ttl_seconds:
            continue
        if not best or _times(row) > _times(best[0]):
            best = [row]
        elif _times(row) == _times(best[0]):
            best.append(row)
    if not best:
        return [(None,) * len(part.features)]
    return [tuple(row[feature] for feature in part.features) for row in best]


def _times(row: dict[str, Any]) -> tuple[Any, ...]:
    return row["event_timestamp"], row["created_at"] is not None, row["created_at"] or row["event_timestamp"]


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other) or (one != one and other != other)  # NaN is the same as NaN
