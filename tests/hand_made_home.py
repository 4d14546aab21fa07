"""A home with hand-made releases and histories."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from encoders.spec import EncoderSpec
from pipelines.delta import TableStore
from pipelines.governance.home import open_home
from pipelines.governance.runs import Run
from pipelines.releases.manifest import Release
from pipelines.releases.pin import write_pin
from pipelines.settings import Settings
from pipelines.tables.schema import Table
from tests.table_frame import table_frame

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def tiny_release(name: str, clip_version: str = "1") -> Release:
    def spec(encoder: str, version: str, *modalities: str) -> EncoderSpec:
        return EncoderSpec(encoder, version, f"test:{encoder}", modalities, 4, "sha256:0", "Apache-2.0")

    return Release(name, spec("tiny-clip", clip_version, "image", "text"), spec("tiny-e5", "1", "text"))


class Home:
    """Settings, tables and runs of a home under test."""

    def __init__(self, folder: Path, spark: SparkSession, **settings: Any) -> None:
        self.settings = Settings(home=str(folder), **settings)
        self.releases = [tiny_release("r1")]
        open_home(self.settings, create=True)
        write_pin(self.settings, self.releases, "r1")
        self.store = TableStore(spark, self.settings)
        self._writes = 0

    def write(self, table: Table, *rows: dict[str, Any]) -> None:
        """Append rows in one commit; columns that are not given are null, except the encoder's and written_at."""
        self._writes += 1
        standing: dict[str, Any] = {"written_at": datetime.now(UTC)}
        if table.depends_on:
            standing["encoder"], standing["encoder_version"] = self.releases[0].encoder_for(table.depends_on)
        standing = {name: value for name, value in standing.items() if name in table.column_names}
        frame = table_frame(self.store.spark, table, [standing | row for row in rows])
        self.store.append_once(frame, table, f"test/{self._writes}")

    def run(self, as_of: datetime) -> Run:
        self._writes += 1
        return Run(self.settings, as_of, f"run{self._writes}")
