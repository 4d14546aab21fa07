"""The folder below the home in which servers leave logged answers until a job takes them in. No Spark."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from pipelines.settings import Settings

_FOLDER = "answers"
_SUFFIX = ".parquet"


class AnswerFiles:
    """Parquet files of answers; one that is there is whole."""

    def __init__(self, settings: Settings) -> None:
        self.location = settings.under_home(_FOLDER)

    def write(self, rows: pa.Table) -> str:
        """Write rows of `SCHEMA` to a new file; its name. Raises OSError."""
        system, folder = self._opened()
        name = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{uuid.uuid4().hex}{_SUFFIX}"
        at = rows.schema.get_field_index("log_file")
        rows = rows.set_column(at, "log_file", pa.repeat(pa.scalar(name), len(rows)))
        system.create_dir(folder, recursive=True)
        # Readers pass over names that begin with a dot.
        with system.open_output_stream(f"{folder}/.{name}") as sink:
            pq.write_table(rows, sink, compression="zstd")
        system.move(f"{folder}/.{name}", f"{folder}/{name}")
        return name

    def names(self) -> list[str]:
        """The files that are there, oldest first."""
        system, folder = self._opened()
        found = system.get_file_info(fs.FileSelector(folder, allow_not_found=True))
        names = [info.base_name for info in found]
        return sorted(name for name in names if name.endswith(_SUFFIX) and not name.startswith("."))

    def delete(self, names: Iterable[str]) -> None:
        system, folder = self._opened()
        for name in names:
            system.delete_file(f"{folder}/{name}")

    def _opened(self) -> tuple[fs.FileSystem, str]:
        system, folder = fs.FileSystem.from_uri(self.location)
        return system, str(folder)
