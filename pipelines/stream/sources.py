"""Where a stream's events come from: a folder into which files are put, or Kafka topics."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from pipelines.errors import MissingColumnError, UnreadableFileError
from pipelines.sources.canonical_text import valid_text
from pipelines.sources.drop_files import Drop, TableFiles, readable
from pipelines.sources.readers import json_rows, read_columnar, text_lines
from pipelines.sources.values import given

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SOURCE = "events"
_FORMATS = {"jsonl": "json", "ndjson": "json", "json": "json", "parquet": "parquet"}
_FILES = "path string, modificationTime timestamp, length long, content binary"


@dataclass(frozen=True)
class Arrived:
    """A micro-batch: its rows in bronze's text columns, kept in memory, the hashes of their keys (see `KnownKeys`; null
    without a key), and the files of it that nobody can read."""

    rows: DataFrame | None
    key_hashes: pa.ChunkedArray
    unreadable: tuple[str, ...] = ()

    @classmethod
    def of(cls, rows: DataFrame) -> Arrived:
        """Read the rows."""
        kept = rows.persist()
        event_id = given(F.col("event_id"))
        return cls(
            kept, kept.select(F.when(event_id.isNotNull(), F.xxhash64(event_id)).alias("hash")).toArrow()["hash"]
        )


class EventSource(Protocol):
    """What a stream reads."""

    def stream(self, spark: SparkSession) -> DataFrame:
        """The streaming frame."""

    def arrived(self, spark: SparkSession, batch: DataFrame) -> Arrived:
        """What a micro-batch of it says, in frames of the session `spark`: a stream's frames are of another one."""


@dataclass(frozen=True)
class FolderSource:
    """Files put into a folder: JSON Lines (gz, bz2 or zst, too) or Parquet, told apart by their names' endings.

    A file must appear whole: written elsewhere, or under a name that begins with "." or "_", and renamed.
    """

    folder: str
    files_per_batch: int = 1000

    @classmethod
    def at(cls, folder: str) -> FolderSource:
        """Of a folder on this machine, which is made where there is none, or of a URI."""
        if "://" in folder and not folder.startswith("file://"):
            return cls(folder.rstrip("/"))
        place = Path(folder.removeprefix("file://")).expanduser().resolve()
        place.mkdir(parents=True, exist_ok=True)
        return cls(str(place))

    def stream(self, spark: SparkSession) -> DataFrame:
        # Names alone: the files are read as those of a drop are, and one that is damaged leaves the others alone.
        reader = spark.readStream.format("binaryFile").schema(_FILES)
        endings = ",".join(f"*.{ending}{packed}" for ending in _FORMATS for packed in ("", ".gz", ".bz2", ".zst"))
        options = {"maxFilesPerTrigger": str(self.files_per_batch), "pathGlobFilter": f"{{{endings}}}"}
        return reader.options(**options).load(self.folder).select("path")

    def arrived(self, spark: SparkSession, batch: DataFrame) -> Arrived:
        paths = sorted(row.path for row in batch.collect())
        try:
            return self._read(spark, paths)
        except (UnreadableFileError, MissingColumnError):
            damaged = tuple(path for path in paths if not self._can_be_read(spark, path))
            whole = [path for path in paths if path not in damaged]
            found = self._read(spark, whole) if whole else Arrived(None, pa.chunked_array([], pa.int64()))
            return replace(found, unreadable=damaged)

    def _read(self, spark: SparkSession, paths: list[str]) -> Arrived:
        by_format: dict[str, list[str]] = {}
        for path in paths:
            ending = next(e for e in _FORMATS if f".{e}" in path.rsplit("/", 1)[-1])
            by_format.setdefault(_FORMATS[ending], []).append(path)
        frames = [self._of_format(spark, form, tuple(some)) for form, some in sorted(by_format.items())]
        with readable(Drop(self.folder, (), ())):
            return Arrived.of(reduce(DataFrame.unionByName, frames))

    def _of_format(self, spark: SparkSession, form: str, paths: tuple[str, ...]) -> DataFrame:
        if form == "json":
            return json_rows(text_lines(spark, paths), SOURCE)
        return read_columnar(spark, TableFiles(SOURCE, form, paths))

    def _can_be_read(self, spark: SparkSession, path: str) -> bool:
        try:
            found = self._read(spark, [path])
        except (UnreadableFileError, MissingColumnError):
            return False
        if found.rows is not None:
            found.rows.unpersist()
        return True


@dataclass(frozen=True)
class KafkaSource:
    """JSON objects, one a message, of some topics."""

    servers: str
    topics: str
    rows_per_batch: int = 50_000
    from_beginning: bool = True

    def stream(self, spark: SparkSession) -> DataFrame:
        options = {
            "kafka.bootstrap.servers": self.servers,
            "subscribe": self.topics,
            "maxOffsetsPerTrigger": str(self.rows_per_batch),
            "startingOffsets": "earliest" if self.from_beginning else "latest",
        }
        read = spark.readStream.format("kafka").options(**options).load()
        place = F.concat_ws("/", "topic", "partition", "offset")
        return read.select(place.alias("source_file"), valid_text(F.col("value").cast("string")).alias("line"))

    def arrived(self, spark: SparkSession, batch: DataFrame) -> Arrived:
        return Arrived.of(json_rows(spark.createDataFrame(batch.toArrow()), SOURCE))
