"""Typed columns of Parquet and Delta in the one text form that bronze keeps."""

from __future__ import annotations

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql.types import (
    ArrayType,
    BinaryType,
    DataType,
    MapType,
    StringType,
    StructType,
    TimestampNTZType,
    TimestampType,
)

# ISO 8601 with microseconds and offset.
_INSTANT = "yyyy-MM-dd'T'HH:mm:ss.SSSSSSxxx"


def canonical_text(column: Column, data_type: DataType) -> Column:
    """Timestamps as ISO 8601 in UTC, arrays, maps and structs as JSON, numbers in plain notation.

    A TIMESTAMP without zone is read as UTC: the contract says that all instants are.
    """
    if isinstance(data_type, TimestampType | TimestampNTZType):
        return F.date_format(column.cast("timestamp"), _INSTANT)
    if isinstance(data_type, ArrayType | MapType | StructType):
        return F.to_json(column)
    if isinstance(data_type, BinaryType):
        return F.base64(column)
    if isinstance(data_type, StringType):
        return valid_text(column)
    return column.cast("string")


def valid_text(column: Column) -> Column:
    """The text with bytes that are not UTF-8 replaced by U+FFFD."""
    return F.make_valid_utf8(column)
