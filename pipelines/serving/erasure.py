"""Whoever was erased leaves the online store, in every view and release."""

from __future__ import annotations

from datetime import UTC, datetime

from feast import FeatureStore

from pipelines.delta import TableStore
from pipelines.governance.runs import Run, StepReport
from pipelines.serving.progress import Progress
from pipelines.serving.repo import packed_store
from pipelines.tables.sources import TOMBSTONES

_KEYS_AT_ONCE = 1000


def delete_erased(
    store: TableStore, feast: FeatureStore, since: Progress | None, run: Run, report: StepReport
) -> list[Progress]:
    """Delete all subjects of the tombstones, if there are new ones since; the progress that this is."""
    version = store.version(TOMBSTONES)
    if version is None or (since is not None and since.table_version == version):
        return []
    online, deleted, keys = packed_store(feast), 0, []
    for row in store.read_version(TOMBSTONES, version).select("subject_id").distinct().toLocalIterator():
        keys.append(row.subject_id)
        if len(keys) == _KEYS_AT_ONCE:
            deleted += online.delete_entities(feast.config, "user_id", keys)
            keys = []
    deleted += online.delete_entities(feast.config, "user_id", keys)
    report.add(TOMBSTONES.name, "users_deleted", deleted)
    return [Progress(TOMBSTONES.name, version, run.as_of, False, datetime.now(UTC))]
