"""Arrow batches as the rows that Feast's online stores take.

Feast's own conversion examines every value; here a column's type is looked at once.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pyarrow as pa
from feast import FeatureView
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import FloatList, StringList, Value

OnlineRow = tuple[EntityKey, dict[str, Value], datetime, datetime | None]

_SCALARS = {
    pa.string(): "string_val",
    pa.int64(): "int64_val",
    pa.int32(): "int32_val",
    pa.float64(): "double_val",
    pa.bool_(): "bool_val",
}
# Feast reads an empty value as null.
_NULL = Value()


def entity_key(join_key: str, value: str) -> EntityKey:
    return EntityKey(join_keys=[join_key], entity_values=[Value(string_val=value)])


def online_rows(batch: pa.RecordBatch, view: FeatureView, join_key: str) -> list[OnlineRow]:
    """Key, values, event and created timestamps (aware, UTC) of each row of a batch with the view's columns."""
    names = [field.name for field in view.features]
    columns = [_values(batch.column(name)) for name in names]
    keys = [entity_key(join_key, value) for value in batch.column(join_key).to_pylist()]
    features = [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]
    events = batch.column("event_timestamp").to_pylist()
    created = batch.column("created_at").to_pylist()
    return list(zip(keys, features, events, created, strict=True))


def _values(column: pa.Array) -> list[Value]:
    make = _maker(column.type)
    if pa.types.is_timestamp(column.type):
        # Feast's instants are whole seconds.
        column = column.cast(pa.timestamp("us", tz="UTC")).cast(pa.int64())
    return [_NULL if value is None else make(value) for value in column.to_pylist()]


def _maker(type_: pa.DataType) -> Callable[[Any], Value]:
    if pa.types.is_timestamp(type_):
        return lambda micros: Value(unix_timestamp_val=micros // 1_000_000)
    if pa.types.is_list(type_) or pa.types.is_large_list(type_):
        if pa.types.is_string(type_.value_type):
            return lambda texts: Value(string_list_val=StringList(val=texts))
        return lambda floats: Value(float_list_val=FloatList(val=floats))
    name = _SCALARS[type_]
    return lambda scalar: Value(**{name: scalar})
