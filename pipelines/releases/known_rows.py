"""What a release's history said of a few ids at a moment, for people who ask; without Spark."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pyarrow as pa

from pipelines.point_in_time.engines import LocalEngine
from pipelines.point_in_time.history_plan import HistoryView, open_history
from pipelines.point_in_time.join import point_in_time_join
from pipelines.releases.manifest import Release
from pipelines.settings import Settings
from pipelines.tables.schema import Table


def known_rows(
    settings: Settings,
    release: Release,
    table: Table,
    ids: Sequence[str],
    moment: datetime,
    columns: Sequence[str],
    **where: str,
) -> list[dict[str, Any]]:
    """Of each id (subject keys, or products) its row as known at `moment` (aware), None in every column without one.

    `table` depends on a part of the release; `where` are values of its other partitions. Raises TableNotFoundError.
    """
    encoder, version = release.encoder_for(table.depends_on or "")
    view = HistoryView(
        name=table.name,
        location=table.location(settings.under_home().rstrip("/")),
        keys=((table.join_key, table.join_key),),
        event_timestamp="event_timestamp",
        created_at="created_at",
        features=tuple((column, column) for column in columns),
        where={**where, "encoder": encoder, "encoder_version": version},
    )
    entities = pa.table({table.join_key: pa.array(ids, pa.string())})
    moments = pa.array([moment] * len(ids), pa.timestamp("us", tz="UTC"))
    joined = point_in_time_join(entities, moments, [open_history(view)], LocalEngine())
    rows: list[dict[str, Any]] = joined.table().to_pylist()
    return rows
