"""Packed rows: what goes in comes out, whichever way it was packed, in no more bytes than it needs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
from feast.protos.feast.types.Value_pb2 import FloatList, StringList, Value
from hypothesis import given
from hypothesis import strategies as st

from pipelines.online.layout import RowSchema, times_of, translate
from pipelines.online.values import instant, microseconds, row_of_values, rows_of_batch, values_of_row

SCHEMA = RowSchema(
    (
        ("flag", "bool"),
        ("text", "text"),
        ("count", "int64"),
        ("vector", "floats"),
        ("share", "float64"),
        ("names", "texts"),
        ("at", "instant"),
    )
)
TYPES = {
    "flag": pa.bool_(),
    "text": pa.string(),
    "count": pa.int64(),
    "vector": pa.list_(pa.float32()),
    "share": pa.float64(),
    "names": pa.list_(pa.string()),
    "at": pa.timestamp("us", tz="UTC"),
}
INT64 = st.integers(-(2**63), 2**63 - 1)
MOMENTS = st.datetimes(datetime(1700, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))
WORDS = st.text(st.characters(codec="utf-8"), max_size=5)
ROWS = st.fixed_dictionaries(
    {
        "flag": st.none() | st.booleans(),
        "text": st.none() | WORDS,
        "count": st.none() | INT64,
        "vector": st.none() | st.lists(st.floats(width=32, allow_nan=False), max_size=4),
        "share": st.none() | st.floats(allow_nan=False),
        "names": st.none() | st.lists(WORDS, max_size=3),
        "at": st.none() | MOMENTS.map(lambda at: at.replace(microsecond=0)),
    }
)


def proto(name: str, value: Any) -> Value:
    if value is None:
        return Value()
    made = {
        "flag": lambda: Value(bool_val=value),
        "text": lambda: Value(string_val=value),
        "count": lambda: Value(int64_val=value),
        "vector": lambda: Value(float_list_val=FloatList(val=value)),
        "share": lambda: Value(double_val=value),
        "names": lambda: Value(string_list_val=StringList(val=value)),
        "at": lambda: Value(unix_timestamp_val=int(value.timestamp())),
    }
    return made[name]()


@given(st.lists(st.tuples(ROWS, MOMENTS, MOMENTS), min_size=1, max_size=5))
def test_arrow_and_feast_pack_alike_and_unpack_to_what_was_given(rows: list[tuple[dict[str, Any], Any, Any]]) -> None:
    columns = {name: pa.array([row[name] for row, _, _ in rows], kind) for name, kind in TYPES.items()}
    columns |= {
        "e": pa.array([e for _, e, _ in rows], TYPES["at"]),
        "c": pa.array([c for _, _, c in rows], TYPES["at"]),
    }
    # A slice, whose offsets do not begin at zero.
    batch = pa.RecordBatch.from_pydict(columns).slice(len(rows) // 2)
    packed = rows_of_batch(SCHEMA, batch, "e", "c")
    for row, (values, event, created) in zip(packed, rows[len(rows) // 2 :], strict=True):
        protos = {name: proto(name, value) for name, value in values.items()}
        times = microseconds(event), microseconds(created)
        assert row == row_of_values(SCHEMA, protos, *times)
        assert values_of_row(SCHEMA, row, list(TYPES)) == protos
        assert times_of(row) == times
        assert instant(times[0]) == event


def test_a_row_takes_what_its_values_take() -> None:
    """40 numbers and 4 vectors of 128: a profile at the serving projection, in 2.5 KB."""
    schema = RowSchema((*((f"n{i}", "float64") for i in range(40)), *((f"v{i}", "floats") for i in range(4))))
    values = {f"n{i}": Value(double_val=i) for i in range(40)}
    values |= {f"v{i}": Value(float_list_val=FloatList(val=np.ones(128))) for i in range(4)}
    row = row_of_values(schema, values, 0, 0)
    assert len(row) - 40 * 8 - 4 * 128 * 4 < 100


def test_a_feature_that_changed_its_type_is_absent() -> None:
    row = row_of_values(SCHEMA, {"count": Value(int64_val=5), "text": Value(string_val="a")}, 1, 2)
    later = RowSchema((("text", "text"), ("count", "float64"), ("new", "int64")))
    moved = translate(row, SCHEMA, later)
    assert values_of_row(later, moved, ["text", "count", "new"]) == {"text": Value(string_val="a")}
    assert times_of(moved) == (1, 2)
