"""silver.media: the files that a drop's product versions and reviews name, hashed by the workers."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from functools import reduce

import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from pipelines.settings import Settings
from pipelines.sources.media_bytes import MediaError, escapes, read_media

_HASHED = "media_path string, given_path string, content_hash string, bytes bigint, reason string"
_SCHEMA = pa.schema(
    [(n, pa.int64() if n == "bytes" else pa.string()) for n in (c.split()[0] for c in _HASHED.split(", "))]
)
# Reading is waiting, for a disk or an object store: more tasks than cores.
_TASKS_PER_CORE = 4


def named_media(sources: list[DataFrame]) -> DataFrame:
    """`given_path`, distinct, of all image_paths and video_paths of the frames (products, reviews)."""
    lists = [(frame, c) for frame in sources for c in ("image_paths", "video_paths") if c in frame.columns]
    paths = [frame.select(F.explode(column).alias("given_path")) for frame, column in lists]
    return reduce(DataFrame.union, paths).distinct()


def hashed_media(named: DataFrame, drop_location: str, settings: Settings) -> DataFrame:
    """The columns of silver.media but drop_id: the SHA-256 of each file's bytes, or the reason why there is none."""
    folder = f"{drop_location}/media"
    placed = named.select(media_path(F.col("given_path"), folder, settings).alias("media_path"), "given_path")
    tasks = named.sparkSession.sparkContext.defaultParallelism * _TASKS_PER_CORE
    return placed.repartition(tasks, "given_path").mapInArrow(_hasher(folder), _HASHED)


def media_path(given: Column, folder: str, settings: Settings) -> Column:
    """Where workers read a file from; NULL where they may not.

    A path without scheme lies below the drop's media folder. A URI or an absolute path must begin with one of
    `settings.media_allow`, up to a slash. `..` is never followed.
    """
    absolute = given.rlike(r"^([A-Za-z][A-Za-z0-9+.-]*:|/|\\)")
    upwards = given.rlike(r"(^|[/\\])\.\.([/\\]|$)") | given.contains("\x00")
    prefixes = [p if p.endswith("/") else f"{p}/" for p in settings.media_allow]
    permitted = F.lit(False)
    for prefix in prefixes:
        permitted = permitted | given.startswith(prefix)
    return (
        F.when(upwards, F.lit(None).cast("string"))
        .when(~absolute, F.concat(F.lit(f"{folder}/"), given))
        .when(permitted, given)
    )


def _hasher(folder: str) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def hash_batches(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            rows = [_hashed(row["media_path"], row["given_path"], folder) for row in batch.to_pylist()]
            yield pa.RecordBatch.from_pylist(rows, schema=_SCHEMA)

    return hash_batches


def _hashed(path: str | None, given: str, folder: str) -> dict[str, object]:
    row = {"media_path": path, "given_path": given, "content_hash": None, "bytes": None, "reason": None}
    below = path is not None and path.startswith(f"{folder}/") and "://" not in folder
    if path is None or (below and escapes(path, folder)):
        return {**row, "media_path": None, "reason": "not_allowed"}
    try:
        data = read_media(path)
    except MediaError as error:
        return {**row, "reason": error.reason}
    return {**row, "content_hash": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
