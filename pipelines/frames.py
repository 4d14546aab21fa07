"""Rows of Python values as a DataFrame."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.pandas.types import to_arrow_schema
from pyspark.sql.types import StructType


def frame_of(spark: SparkSession, rows: Iterable[Sequence[Any]], ddl: str) -> DataFrame:
    """Rows, given as tuples in the order of the columns of `ddl`, as a frame. Datetimes are aware (naive: UTC).

    Goes through Arrow: the plan then holds the rows themselves, while `createDataFrame` of a list starts a Python
    worker for each partition, and the optimiser cannot see that a frame is empty.
    """
    schema = StructType.fromDDL(ddl)
    assert isinstance(schema, StructType)
    arrow = to_arrow_schema(schema, timezone="UTC")
    columns = list(zip(*rows, strict=True)) or [()] * len(arrow)
    arrays = [pa.array(map(_entries, column), field.type) for column, field in zip(columns, arrow, strict=True)]
    return spark.createDataFrame(pa.table(arrays, schema=arrow), schema)


def _entries(value: Any) -> Any:
    # Arrow takes a map as a list of pairs.
    return list(value.items()) if isinstance(value, dict) else value
