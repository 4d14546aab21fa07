"""Taking a release's rows out of Delta: histories, vectors, and the memory of what was encoded."""

from __future__ import annotations

from collections.abc import Sequence

from pipelines.delta import TableStore
from pipelines.encoding.job import encode_job
from pipelines.encoding.judging import judging_job
from pipelines.features.arrivals import backfill_job
from pipelines.point_in_time.delta_log import open_filesystem, read_snapshot
from pipelines.releases.backfill import quoted, version_predicate
from pipelines.releases.manifest import Release
from pipelines.releases.versions import Version, own_encoders, own_heads, own_histories
from pipelines.tables.aggregates import EMBEDDINGS, TEXT_JUDGEMENTS
from pipelines.tables.governance import PROGRESS
from pipelines.tables.schema import Table


def remove_rows(store: TableStore, release: Release, others: Sequence[Release]) -> int:
    """Delete every row that only this release needs; the bytes of the files that are gone.

    Doing it again, or going on after a crash, deletes what is left.
    """
    freed = sum(_remove(store, table, version) for table, version in own_histories(release, others))
    for version in own_encoders(release, others):
        # First what says that there is nothing to encode: without vectors it would be wrong.
        for with_clauses in (False, True):
            _forget(store, encode_job("/".join(version), with_clauses=with_clauses))
        _forget(store, backfill_job(version))
        freed += _remove(store, EMBEDDINGS, version)
    for version in own_heads(release, others):
        _forget(store, judging_job("/".join(version)))
        freed += _remove(store, TEXT_JUDGEMENTS, version)
    return freed


def _forget(store: TableStore, job: str) -> None:
    """Let a job take in every drop again."""
    store.delete_where(PROGRESS, f"job = '{quoted(job)}'")


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
