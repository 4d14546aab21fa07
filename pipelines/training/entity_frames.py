"""Entity rows as Feast's callers give them: pandas, Arrow, a Spark frame or SQL."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, TypeAlias

import pandas as pd
import pyarrow as pa
from feast.errors import EntityTimestampInferenceException, FeastEntityDFMissingColumnsError

from pipelines.errors import EntityFrameError
from pipelines.point_in_time.instants import UTC_MICROS, instants_of_text

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

TIMESTAMP = "event_timestamp"
EntityRows: TypeAlias = "pd.DataFrame | pa.Table | DataFrame | str"


def entity_table(rows: EntityRows, session: Callable[[], SparkSession]) -> pa.Table:
    """The rows in their order, with all their columns. `session` is called for SQL alone.

    Raises EntityFrameError for rows of another kind, or a column of mixed types.
    """
    if isinstance(rows, pa.Table):
        return rows
    if isinstance(rows, pd.DataFrame):
        try:
            return pa.Table.from_pandas(rows, preserve_index=False)
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise EntityFrameError(f"the entity rows have a column of mixed types: {error.args[0]}") from error
    frame = session().sql(rows) if isinstance(rows, str) else rows
    if not hasattr(frame, "toArrow"):
        raise EntityFrameError(
            f"entity rows must be a pandas or Spark DataFrame, an Arrow table or SQL, not {type(rows).__name__}"
        )
    return _in_utc(frame.toArrow())


def _in_utc(table: pa.Table) -> pa.Table:
    """Spark labels instants with its session's zone; the instants are the same."""
    for position, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type) and field.type.tz is not None:
            table = table.set_column(position, field.name, table.column(position).cast(UTC_MICROS, safe=False))
    return table


def timestamp_column(table: pa.Table) -> str:
    """`event_timestamp`, or else the only column of timestamps. Raises EntityTimestampInferenceException."""
    if TIMESTAMP in table.column_names:
        return TIMESTAMP
    found = [field.name for field in table.schema if pa.types.is_timestamp(field.type)]
    if len(found) != 1:
        raise EntityTimestampInferenceException(TIMESTAMP)
    return str(found[0])


def with_instants(table: pa.Table, name: str) -> pa.Table:
    """The rows with ISO 8601 text in the column `name` read as timestamps; without offset it is UTC.

    Raises EntityFrameError where it is neither text nor timestamps nor dates, or a text is no instant.
    """
    column = table.column(name)
    kind = column.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return table
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        raise EntityFrameError(
            f"column '{name}' of the entity rows must hold timestamps or ISO 8601 text, found {kind}"
        )
    try:
        instants = instants_of_text(column, unreadable="raise")
    except ValueError as error:
        raise EntityFrameError(f"column '{name}' of the entity rows: {error}") from error
    return table.set_column(table.column_names.index(name), name, instants)


def require_columns(table: pa.Table, expected: Iterable[str]) -> None:
    """Raises FeastEntityDFMissingColumnsError where a join key is missing."""
    wanted = set(expected)
    if missing := wanted - set(table.column_names):
        raise FeastEntityDFMissingColumnsError(wanted, missing)
