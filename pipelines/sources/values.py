"""Typed values from the text that a shop handed in. What cannot be read becomes NULL; rules say what that means."""

from __future__ import annotations

from pyspark.sql import Column
from pyspark.sql import functions as F

_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?$"
_INSTANT = r"^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}([.,]\d{1,9})?)?\s?(Z|[+-]\d{2}(:?\d{2})?)$"
_LARGEST_INT = 2**31 - 1


def given(column: Column) -> Column:
    """The text without surrounding spaces; NULL where nothing is left."""
    return F.nullif(F.regexp_replace(column, r"^[\s\x{3000}]+|[\s\x{3000}]+$", ""), F.lit(""))


def instant(text: Column) -> Column:
    """A UTC instant from ISO 8601 with offset (or Z), down to microseconds; NULL for anything else."""
    upper = F.replace(F.upper(text), F.lit(","), F.lit("."))
    with_seconds = F.regexp_replace(upper, r"^(.{10}[T ]\d{2}:\d{2})(\s?[Z+-])", "$1:00$2")
    return F.when(upper.rlike(_INSTANT), with_seconds.try_cast("timestamp"))


def real(text: Column) -> Column:
    """A finite double."""
    return F.when(text.rlike(_NUMBER), text.try_cast("double"))


def amount(text: Column) -> Column:
    """Money with four decimals, rounded half up."""
    return F.when(text.rlike(_NUMBER), text.try_cast("decimal(18,4)"))


def whole_number(text: Column) -> Column:
    """An int; "3.0" is one, "3.5" is not."""
    number = real(text)
    return F.when((number == F.floor(number)) & (F.abs(number) <= _LARGEST_INT), number.try_cast("int"))


def code(text: Column) -> Column:
    """An ISO code in capitals."""
    return F.upper(text)


def json_map(text: Column) -> Column:
    """map<string,string> from a JSON object, ordered by key; nested values stay JSON text."""
    parsed = F.from_json(text, "map<string,string>")
    return F.map_from_entries(F.array_sort(F.map_entries(parsed)))


def json_list(text: Column) -> Column:
    """array<string> from a JSON array."""
    return F.from_json(text, "array<string>")


def path_list(text: Column) -> Column:
    """Media paths from a JSON array, or separated by `;`. Empty ones are dropped; no text is an empty list."""
    parsed = F.when(text.startswith("["), json_list(text)).otherwise(F.split(text, ";"))
    named = F.filter(F.transform(parsed, lambda p: F.trim(p)), lambda p: p != "")
    return F.when(text.isNull(), F.array().cast("array<string>")).otherwise(named)
