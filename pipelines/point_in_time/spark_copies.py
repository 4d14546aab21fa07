"""Tables whose protocol our own reader of the log does not know are copied by Spark's for the time of a join."""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
from pyarrow import fs

from pipelines.errors import UnsupportedTableError
from pipelines.point_in_time.delta_log import DataFile, open_filesystem
from pipelines.point_in_time.history_files import FileColumn
from pipelines.point_in_time.history_plan import History, HistoryView, open_history

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@contextmanager
def opened_histories(
    views: Sequence[HistoryView], session: Callable[[], SparkSession] | None, staging: str | None
) -> Iterator[list[History]]:
    """The histories of the views; with a session also those that only Spark can read.

    `staging` is a folder or URI that all workers reach; without one a local folder is used. Copies are removed at
    the end. Raises as `open_history` does; without a session UnsupportedTableError too.
    """
    with ExitStack() as copies:
        histories = []
        for view in views:
            try:
                history = open_history(view)
            except UnsupportedTableError:
                if session is None:
                    raise
                history = _copied(view, session(), _folder(copies, staging))
            histories.append(history)
        yield histories


def _folder(copies: ExitStack, staging: str | None) -> str:
    if staging is None:
        return copies.enter_context(tempfile.TemporaryDirectory(prefix="mmfs-copy-")) + "/rows"
    folder = f"{staging.rstrip('/')}/copy-{uuid.uuid4().hex}"
    system, path = open_filesystem(folder)
    copies.callback(system.delete_dir, path)
    return folder


def _copied(view: HistoryView, spark: SparkSession, folder: str) -> History:
    """The columns a join needs, of one version, as plain Parquet files."""
    newest = spark.sql(f"DESCRIBE HISTORY delta.`{view.location}` LIMIT 1").collect()[0].version
    version = newest if view.version is None else view.version
    rows = spark.read.format("delta").option("versionAsOf", version).load(view.location)
    for column, value in (view.where or {}).items():
        rows = rows.where(rows[f"`{column}`"] == value)
    times = [view.event_timestamp, *([view.created_at] if view.created_at else [])]
    names = [*(name for _, name in view.keys), *times, *(name for name, _ in view.features)]
    rows.select(*(f"`{name}`" for name in dict.fromkeys(names))).write.parquet(folder)
    system, path = open_filesystem(folder)
    found = [f for f in system.get_file_info(fs.FileSelector(path)) if f.base_name.endswith(".parquet")]
    files = [DataFile(f.path, f.size, {}, None, None) for f in sorted(found, key=lambda f: f.path)]
    schema = pq.read_schema(files[0].path, filesystem=system)
    columns = {name: FileColumn(name, name, schema.field(name).type) for name in names}
    return History(
        view=view,
        version=version,
        location=folder,
        keys=tuple(columns[name] for _, name in view.keys),
        times=tuple(columns[name] for name in times),
        features=tuple(columns[name] for name, _ in view.features),
        files=tuple(enumerate(files)),
    )
