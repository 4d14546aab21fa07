"""What a home has published, read from its tables' files without Spark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pyarrow as pa

from pipelines.point_in_time.delta_log import newest_version
from pipelines.point_in_time.engines import Engine, LocalEngine
from pipelines.point_in_time.history_plan import HistoryView, open_history
from pipelines.point_in_time.latest_rows import latest_rows
from pipelines.point_in_time.partitions import read_partitions
from pipelines.releases.manifest import Release
from pipelines.settings import Settings
from pipelines.tables.schema import TIME_NAMES, Table

_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Published:
    """The tables of a home; of those that depend on an encoder, the rows of one release, of histories one moment."""

    settings: Settings
    release: Release
    as_of: datetime
    engine: Engine = field(default_factory=LocalEngine)

    def exists(self, table: Table) -> bool:
        return newest_version(self._location(table)) is not None

    def rows(self, table: Table, columns: Sequence[str], **where: str) -> pa.Table:
        """All rows, of the partitions that have the given values; raises TableNotFoundError."""
        return read_partitions(self._location(table), columns, **where)

    def of_release(self, table: Table, columns: Sequence[str]) -> pa.Table:
        """All rows that stand on the release's version of what the table depends on; raises TableNotFoundError."""
        return self.rows(table, columns, **self._encoder(table))

    def latest(self, table: Table, columns: Sequence[str], **where: str) -> pa.Table:
        """Of each key the newest row of a history at the moment, with its key and the given columns."""
        chosen = {**where, **self._encoder(table)}
        keys = [key for key in table.keys if key not in TIME_NAMES and key not in chosen]
        view = HistoryView(
            name=table.name,
            location=self._location(table),
            keys=tuple((key, key) for key in keys),
            event_timestamp="event_timestamp",
            created_at="created_at",
            features=tuple((name, name) for name in columns),
            where=chosen,
        )
        rows = latest_rows(open_history(view), _BEGINNING, self.as_of, self.engine)
        return rows.select([*keys, *columns])

    def _location(self, table: Table) -> str:
        return table.location(self.settings.under_home().rstrip("/"))

    def _encoder(self, table: Table) -> Mapping[str, str]:
        if table.depends_on is None:
            return {}
        name, version = self.release.encoder_for(table.depends_on)
        return {"encoder": name, "encoder_version": version}
