"""Taking a release's rows out of Delta: histories, vectors, and the memory of what was encoded."""

from __future__ import annotations

from collections.abc import Sequence

from pipelines.delta import TableStore
from pipelines.features.arrivals import backfill_job
from pipelines.point_in_time.delta_log import open_filesystem, read_snapshot
from pipelines.releases.backfill import quoted, version_predicate
from pipelines.releases.manifest import Release
from pipelines.releases.versions import Version, own_encoders, own_histories
from pipelines.tables.aggregates import EMBEDDINGS
from pipelines.tables.governance import PROGRESS
from pipelines.tables.schema import Table


def remove_rows(store: TableStore, release: Release, others: Sequence[Release]) -> int:
    """Delete every row that only this release needs; the bytes of the files that are gone.

    Doing it again, or going on after a crash, deletes what is left.
    """
    freed = sum(_remove(store, table, version) for table, version in own_histories(release, others))
    for version in own_encoders(release, others):
        # First what says that there is nothing to encode: without vectors it would be wrong.
        jobs = (quoted(job) for job in ("encode/" + "/".join(version), backfill_job(version)))
        store.delete_where(PROGRESS, "job IN ({})".format(", ".join(f"'{job}'" for job in jobs)))
        freed += _remove(store, EMBEDDINGS, version)
    return freed


def _remove(store: TableStore, table: Table, version: Version) -> int:
    """A version is whole files (partitions), so those are freed; other versions' time travel does not need them."""
    if not store.exists(table):
        return 0
    location = store.location(table)
    of_version = {"encoder": version[0], "encoder_version": version[1]}.items()
    files = [file for file in read_snapshot(location).files if of_version <= file.partition.items()]
    if not files:
        return 0
    store.delete_where(table, version_predicate(version))
    system, _ = open_filesystem(location)
    for file in files:
        system.delete_file(file.path)
    return sum(file.size for file in files)
