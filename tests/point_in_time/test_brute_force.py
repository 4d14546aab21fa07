"""The join over Delta tables, on both engines, against brute force: keys and moments of several types."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from pipelines.point_in_time.engines import Engine, LocalEngine, SparkEngine
from pipelines.point_in_time.history_plan import HistoryView, open_history
from pipelines.point_in_time.join import point_in_time_join
from tests.point_in_time.delta_by_hand import commit, history
from tests.point_in_time.pit_cases import PARTS, TTLS, Case, cases
from tests.point_in_time.pit_oracle import Key, known_values

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

MICROS = pa.timestamp("us", tz="UTC")
TIMES = {"event_timestamp": MICROS, "created_at": MICROS}


def generated(count: int) -> list[Case]:
    found: list[Case] = []

    @seed(5)
    @settings(
        max_examples=count,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(cases())
    def keep(case: Case) -> None:
        found.append(case)

    keep()
    return found


@dataclass(frozen=True)
class Shape:
    """In which types the generated keys and moments are written: the same values whatever they are."""

    first: pa.DataType
    second: pa.DataType
    moment: pa.DataType

    def key(self, key: Key) -> Key:
        return tuple(_as(kind, part) for kind, part in zip((self.first, self.second), key, strict=True))


def _as(kind: pa.DataType, part: str | None) -> Any:
    if part is None or pa.types.is_string(kind):
        return part
    number = PARTS.index(part)
    return date(2026, 3, 27) + timedelta(days=number) if pa.types.is_date(kind) else 2**40 + number


SHAPES = {
    "text, UTC": Shape(pa.string(), pa.string(), MICROS),
    "numbers and days, Berlin": Shape(pa.int64(), pa.date32(), pa.timestamp("us", tz="Europe/Berlin")),
    "days and text, no zone": Shape(pa.date32(), pa.string(), pa.timestamp("ns")),
}


def agree_with_brute_force(engines: Sequence[Engine], folder: Path, count: int, shape: Shape) -> None:
    """All cases in one table, told apart by a key column; one view for each ttl in one join."""
    numbered = list(enumerate(generated(count)))
    rows = [(i, *shape.key(r.key), r.event, r.created, r.value) for i, case in numbered for r in case.history]
    types = {"case": pa.int64(), "k1": shape.first, "k2": shape.second, **TIMES, "value": pa.int32()}
    commit(folder, *(history(rows[part::3], **types) for part in range(2)))
    commit(folder, history(rows[2::3], **types))
    asked = [(i, *shape.key(key), at) for i, case in numbered for key, at in case.moments]
    names = ("case", "k1", "k2", "at")
    kinds = (pa.int64(), shape.first, shape.second, MICROS)
    entities = pa.table([pa.array(c, k) for c, k in zip(zip(*asked, strict=True), kinds, strict=True)], names)
    entities = entities.set_column(3, "at", entities["at"].cast(shape.moment))
    keys = tuple((name, name) for name in names[:3])
    event, created = TIMES
    histories = [
        open_history(HistoryView(f"v{n}", str(folder), keys, event, created, (("value", f"v{n}"),), ttl))
        for n, ttl in enumerate(TTLS)
    ]
    expected = [known_values(case.moments, case.history, case.ttl) for _, case in numbered]
    column = [f"v{TTLS.index(case.ttl)}" for _, case in numbered for _ in case.moments]
    flat = [values for some in expected for values in some]
    results = [point_in_time_join(entities, entities["at"], histories, engine) for engine in engines]
    for joined in results:
        found = [row[name] for row, name in zip(joined.table().to_pylist(), column, strict=True)]
        assert [f is None for f in found] == [e is None for e in flat]
        assert all(f in e for f, e in zip(found, flat, strict=True) if e is not None)
        assert joined.table().equals(results[0].table())


@pytest.mark.parametrize("shape", SHAPES)
def test_agrees_with_brute_force(engine: Engine, tmp_path: Path, shape: str) -> None:
    agree_with_brute_force([engine], tmp_path / "history", 100, SHAPES[shape])


@pytest.mark.soak
@pytest.mark.parametrize("shape", SHAPES)
def test_both_engines_agree_with_brute_force_in_many_cases(
    spark_elsewhere: SparkSession, tmp_path: Path, shape: str
) -> None:
    agree_with_brute_force([LocalEngine(2), SparkEngine(spark_elsewhere)], tmp_path / "history", 10_000, SHAPES[shape])
