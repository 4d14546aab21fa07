"""Whose features a training set may not hold: those who do not consent to the service's purpose, and the erased."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa
from pyarrow import fs
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from pipelines.delta import TableStore
from pipelines.errors import ReplayRefusedError, VersionGoneError
from pipelines.frames import frame_of
from pipelines.governance.runs import Run
from pipelines.identity.tombstones import without_erased
from pipelines.point_in_time.delta_log import open_filesystem, read_snapshot
from pipelines.serving.consent_view import purposes_in_force
from pipelines.tables.schema import Table
from pipelines.tables.sources import CONSENTS, IDENTITIES, TOMBSTONES

_TABLES = {table.name: table for table in (CONSENTS, IDENTITIES, TOMBSTONES)}


@dataclass(frozen=True)
class Withheld:
    """Keys that are withheld, and the Delta versions that say so (None: no such table)."""

    keys: list[str]
    versions: dict[str, int | None]


def withheld(store: TableStore, run: Run, keys: pa.Array, purpose: str) -> Withheld:
    """Of the subject keys those withheld at the run's time. Purpose "none" is about no person: nobody is."""
    if purpose == "none":
        return Withheld([], {})
    versions = {name: store.version(table) for name, table in _TABLES.items()}
    return Withheld(_refused(store, run, keys, purpose, versions), versions)


def withheld_then(
    store: TableStore, run: Run, keys: pa.Array, purpose: str, versions: Mapping[str, int | None]
) -> list[str]:
    """The same as the tables said it at earlier versions. Raises ReplayRefusedError where they are gone."""
    if purpose == "none":
        return []
    try:
        for name, version in versions.items():
            if version is not None:
                _require_files(store.location(_TABLES[name]), version)
    except VersionGoneError as error:
        raise ReplayRefusedError(f"who had consented can no longer be told: {error}") from error
    return _refused(store, run, keys, purpose, versions)


def _require_files(location: str, version: int) -> None:
    system, _ = open_filesystem(location)
    for file in read_snapshot(location, version).files:
        if system.get_file_info(file.path).type != fs.FileType.File:
            raise VersionGoneError(f"file {file.path} of version {version} is gone")


def _refused(
    store: TableStore, run: Run, keys: pa.Array, purpose: str, versions: Mapping[str, int | None]
) -> list[str]:
    def read(table: Table) -> DataFrame:
        version = versions[table.name]
        return frame_of(store.spark, [], table.ddl) if version is None else store.read_version(table, version)

    asked = store.spark.createDataFrame(pa.table({"user_id": keys.unique()}))
    in_force = purposes_in_force(asked, read(CONSENTS), read(IDENTITIES), run)
    granted = in_force.where(F.array_contains("purposes", purpose))
    kept = without_erased(granted, read(TOMBSTONES), "user_id").select("user_id")
    return sorted(row.user_id for row in asked.join(kept, "user_id", "left_anti").collect())
