"""Source tables of any format as rows of text: one column per column of the contract, as bronze keeps them."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import StringType, StructField, StructType

from pipelines.errors import MissingColumnError, UnreadableFileError
from pipelines.sources.canonical_text import canonical_text, valid_text
from pipelines.sources.contract import REQUIRED
from pipelines.sources.drop_files import Drop, TableFiles, file_system
from pipelines.tables.sources import SOURCE_COLUMNS

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_CORRUPT = "_mmfs_corrupt"
# JSON Lines of which the columns are looked for before all of the file is.
_FIRST_LINES = 1_000


@dataclass(frozen=True)
class SourceRows:
    """Rows of a source table: source_file, the contract's columns, unknown_columns, corrupt_record."""

    source: str
    frame: DataFrame


def read_source(spark: SparkSession, drop: Drop, source: str) -> SourceRows:
    """All files of a source table in the drop, as one frame of text.

    Raises MissingColumnError where a required column is in none of the rows of a file's format, UnreadableFileError
    where JSON Lines hold no object at all.
    """
    frames = [_READERS[files.format](spark, files) for files in drop.of(source)]
    rows = reduce(DataFrame.unionByName, frames)
    relative = F.regexp_replace(F.url_decode(F.replace("source_file", F.lit("+"), F.lit("%2B"))), r"^file:(//)?", "")
    inside = F.ltrim(F.replace(relative, F.lit(drop.location), F.lit("")), F.lit("/"))
    return SourceRows(source, rows.withColumn("source_file", inside))


def _read_csv(spark: SparkSession, files: TableFiles) -> DataFrame:
    by_header: dict[tuple[str, ...], list[str]] = {}
    for path in files.paths:
        by_header.setdefault(_csv_header(spark, path), []).append(path)
    return reduce(DataFrame.unionByName, (_csv_frame(spark, files.source, h, p) for h, p in by_header.items()))


def _csv_frame(spark: SparkSession, source: str, header: tuple[str, ...], paths: list[str]) -> DataFrame:
    _require(source, header)
    schema = StructType([StructField(name, StringType()) for name in (*header, _CORRUPT)])
    frame = (
        spark.read.schema(schema)
        .option("header", True)
        .option("multiLine", True)
        .option("escape", '"')
        .option("enforceSchema", True)
        .option("columnNameOfCorruptRecord", _CORRUPT)
        .csv(paths)
    )
    values = {name: valid_text(F.col(f"`{name}`")) for name in header}
    corrupt = F.col(_CORRUPT)
    return frame.select(*_bronze_columns(source, values, corrupt))


def _csv_header(spark: SparkSession, path: str) -> tuple[str, ...]:
    jvm: Any = spark._jvm
    hadoop_path = jvm.org.apache.hadoop.fs.Path(path)
    stream = file_system(spark, path).open(hadoop_path)
    codec = jvm.org.apache.hadoop.io.compress.CompressionCodecFactory(spark._jsc.hadoopConfiguration()).getCodec(
        hadoop_path
    )
    stream = codec.createInputStream(stream) if codec is not None else stream
    line = jvm.java.io.BufferedReader(jvm.java.io.InputStreamReader(stream, "UTF-8")).readLine()
    stream.close()
    names = next(csv.reader([(line or "").removeprefix("\ufeff")]), [])
    # An unnamed or repeated column cannot be told apart by name: it gets its position.
    return tuple(n.strip() if n.strip() and n not in names[:i] else f"column_{i + 1}" for i, n in enumerate(names))


def _read_json(spark: SparkSession, files: TableFiles) -> DataFrame:
    lines = text_lines(spark, files.paths)
    columns = _json_columns(_with_fields(lines), files.source)
    if not columns:
        names = ", ".join(path.rsplit("/", 1)[-1] for path in files.paths)
        raise UnreadableFileError(f"no line of {names} is a JSON object. Write one a row, or leave the table out.")
    _require(files.source, columns)
    return json_rows(lines, files.source)


def text_lines(spark: SparkSession, paths: Sequence[str]) -> DataFrame:
    """The lines of text files: source_file, line."""
    return spark.read.text(list(paths)).select(
        F.col("_metadata.file_path").alias("source_file"), valid_text(F.col("value")).alias("line")
    )


def json_rows(lines: DataFrame, source: str) -> DataFrame:
    """Lines (source_file, line) of JSON objects in bronze's columns; a line that is none is a corrupt record."""
    values = {name: F.try_element_at("fields", F.lit(name)) for name in SOURCE_COLUMNS[source]}
    unknown = F.map_filter("fields", lambda k, _: ~k.isin(*SOURCE_COLUMNS[source]))
    corrupt = F.when(F.col("fields").isNull(), F.col("line"))
    return _with_fields(lines).select(
        "source_file",
        *(value.alias(name) for name, value in values.items()),
        F.when(F.cardinality(unknown) > 0, F.to_json(unknown)).alias("unknown_columns"),
        corrupt.alias("corrupt_record"),
    )


def _with_fields(lines: DataFrame) -> DataFrame:
    return lines.where(F.trim("line") != "").withColumn("fields", F.from_json("line", "map<string,string>"))


def _json_columns(rows: DataFrame, source: str) -> list[str]:
    """Columns that any line has: of the first lines, or of all where those do not have what is required."""
    names: list[str] = []
    for sample in (rows.limit(_FIRST_LINES), rows):
        keys = sample.select(F.explode(F.map_keys("fields")).alias("name")).distinct()
        names = [row.name for row in keys.collect()]
        if all(any(c in names for c in columns) for columns in REQUIRED[source]):
            break
    return names


def read_columnar(spark: SparkSession, files: TableFiles) -> DataFrame:
    """Parquet files, or a Delta table, in bronze's columns. Raises MissingColumnError."""
    if files.format == "delta":
        frame = spark.read.format("delta").load(files.paths[0])
    else:
        frame = spark.read.option("mergeSchema", True).parquet(*files.paths)
    _require(files.source, frame.columns)
    values = {f.name: canonical_text(F.col(f"`{f.name}`"), f.dataType) for f in frame.schema.fields}
    return frame.select(*_bronze_columns(files.source, values, F.lit(None).cast("string")))


_READERS = {"csv": _read_csv, "json": _read_json, "parquet": read_columnar, "delta": read_columnar}


def _bronze_columns(source: str, values: dict[str, Column], corrupt: Column) -> list[Column]:
    missing = F.lit(None).cast("string")
    unknown = [value.alias(name) for name, value in values.items() if name not in SOURCE_COLUMNS[source]]
    return [
        F.col("_metadata.file_path").alias("source_file"),
        *(values.get(name, missing).alias(name) for name in SOURCE_COLUMNS[source]),
        (F.to_json(F.struct(*unknown), {"ignoreNullFields": "false"}) if unknown else missing).alias("unknown_columns"),
        valid_text(corrupt).alias("corrupt_record"),
    ]


def _require(source: str, found: tuple[str, ...] | list[str]) -> None:
    for alternatives in REQUIRED[source]:
        if not any(name in found for name in alternatives):
            raise MissingColumnError(source, " or ".join(alternatives), list(found))
