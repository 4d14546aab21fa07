"""Types as Delta's schema JSON and Spark's DDL write them, as Arrow types."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from pipelines.tables.schema import Table

_SIMPLE = {
    "string": pa.string(),
    "long": pa.int64(),
    "bigint": pa.int64(),
    "integer": pa.int32(),
    "int": pa.int32(),
    "short": pa.int16(),
    "smallint": pa.int16(),
    "byte": pa.int8(),
    "tinyint": pa.int8(),
    "float": pa.float32(),
    "double": pa.float64(),
    "boolean": pa.bool_(),
    "binary": pa.binary(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", tz="UTC"),
    "timestamp_ntz": pa.timestamp("us"),
}
_DECIMAL = re.compile(r"decimal\((\d+),\s*(\d+)\)")
_ARRAY = re.compile(r"array<(.+)>")
_MAP = re.compile(r"map<(\w+),\s*(.+)>")
_STRUCT = re.compile(r"struct<([^<>]+)>")


def arrow_schema(table: Table) -> pa.Schema:
    """The columns of a declared table."""
    return pa.schema([(c.name, arrow_type(c.type)) for c in table.columns])


def arrow_type(given: str | Mapping[str, Any]) -> pa.DataType:
    """The Arrow type of a Delta type; null for one that has none (variant, interval), which no reader here reads.

    Of DDL's nested types arrays, maps and structs of simple types are known.
    """
    if isinstance(given, str):
        if found := _DECIMAL.fullmatch(given):
            return pa.decimal128(int(found[1]), int(found[2]))
        if found := _ARRAY.fullmatch(given):
            return pa.list_(arrow_type(found[1]))
        if found := _MAP.fullmatch(given):
            return pa.map_(arrow_type(found[1]), arrow_type(found[2]))
        if found := _STRUCT.fullmatch(given):
            fields = (field.split(":", 1) for field in found[1].split(","))
            return pa.struct([(name.strip(), arrow_type(type_.strip())) for name, type_ in fields])
        return _SIMPLE.get(given, pa.null())
    if given["type"] == "array":
        return pa.list_(arrow_type(given["elementType"]))
    if given["type"] == "map":
        return pa.map_(arrow_type(given["keyType"]), arrow_type(given["valueType"]))
    return pa.struct([(field["name"], arrow_type(field["type"])) for field in given["fields"]])
