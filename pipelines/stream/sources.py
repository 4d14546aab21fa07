"""Where a stream's events come from: a folder into which files are put, or Kafka topics."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pyarrow as pa
from py4j.protocol import Py4JJavaError
from pyspark.errors import AnalysisException, PySparkException
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
_ENDING = re.compile(rf"\.({'|'.join(_FORMATS)})(\.\w+)?$")
_PATTERN = re.compile(r"([\[\]{}*?\\])")
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
            with self._readable():
                return Arrived.of(self._together(spark, paths))
        except (UnreadableFileError, MissingColumnError, PySparkException, Py4JJavaError):
            # One by one: it may be a single file, or two that give a column different types.
            whole = {path: frame for path in paths if (frame := self._if_readable(spark, path)) is not None}
        damaged = tuple(path for path in paths if path not in whole)
        if not whole:
            return Arrived(None, pa.chunked_array([], pa.int64()), damaged)
        return replace(Arrived.of(reduce(DataFrame.unionByName, whole.values())), unreadable=damaged)

    def _if_readable(self, spark: SparkSession, path: str) -> DataFrame | None:
        try:
            with self._readable():
                frame = self._together(spark, [path])
                found = Arrived.of(frame)
        except (UnreadableFileError, MissingColumnError, AnalysisException):
            return None
        if found.rows is not None:
            found.rows.unpersist()
        return frame

    def _readable(self) -> AbstractContextManager[None]:
        return readable(Drop(self.folder, (), ()))

    def _together(self, spark: SparkSession, paths: Sequence[str]) -> DataFrame:
        """The files' rows in bronze's columns; nothing is read yet but the schema of Parquet."""
        by_format: dict[str, list[str]] = {}
        for path in paths:
            match = _ENDING.search(path)
            assert match is not None
            # Spark takes these characters for patterns.
            by_format.setdefault(_FORMATS[match[1]], []).append(_PATTERN.sub(r"\\\1", path))
        frames = []
        for form, some in sorted(by_format.items()):
            if form == "json":
                frames.append(json_rows(text_lines(spark, some), SOURCE))
            else:
                frames.append(read_columnar(spark, TableFiles(SOURCE, form, tuple(some))))
        return reduce(DataFrame.unionByName, frames)


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
