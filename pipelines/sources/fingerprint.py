"""A drop's name in the home: its folder's name and a fingerprint of its content, never of a clock."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from pipelines.sources.drop_files import Drop, Entry, file_system, files_below, list_folder

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def drop_id(spark: SparkSession, drop: Drop) -> str:
    """`<folder name>-<12 hex>`: the tables' files by their bytes, the media by their names and sizes.

    Media are not read for it: a picture counts through the product version that names it.
    """
    digest = hashlib.sha256()
    for entry in _files(spark, drop):
        relative = drop.relative(entry.path)
        is_media = relative.startswith("media/")
        content = str(entry.length) if is_media else _content(spark, drop, entry)
        digest.update(f"{relative}\0{content}\0".encode())
    return f"{drop.name}-{digest.hexdigest()[:12]}"


def _files(spark: SparkSession, drop: Drop) -> list[Entry]:
    taken = {path for table in drop.tables for path in table.paths}
    files: list[Entry] = []
    for entry in list_folder(spark, drop.location):
        if entry.is_folder and (entry.name == "media" or any(p.startswith(entry.path) for p in taken)):
            files += files_below(spark, entry.path)
        elif entry.path in taken:
            files.append(entry)
    return sorted(files, key=lambda e: e.path)


def _content(spark: SparkSession, drop: Drop, entry: Entry) -> str:
    if drop.is_local:
        with Path(entry.path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    # HDFS and most object stores keep a checksum; reading everything again is for those that do not.
    path = spark._jvm.org.apache.hadoop.fs.Path(entry.path)  # type: ignore[union-attr]
    checksum = file_system(spark, entry.path).getFileChecksum(path)
    if checksum is not None:
        return f"{entry.length}:{checksum}"
    row = spark.read.format("binaryFile").load(entry.path).select(F.sha2("content", 256)).head()
    return str(row[0]) if row else "0"
