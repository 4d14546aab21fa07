"""Where a home keeps what rests on encoder versions: Delta tables, feature views, services, the online store.

Read from Delta's logs, Feast's registry and the online store; no Spark, no MLflow.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from feast import FeatureService, FeatureView

from pipelines.errors import TableNotFoundError
from pipelines.online.layout import field_id
from pipelines.online.rows import Held
from pipelines.point_in_time.delta_log import read_snapshot
from pipelines.serving.delta_source import DeltaSource
from pipelines.serving.repo import feature_store, packed_store
from pipelines.settings import Settings
from pipelines.tables.aggregates import EMBEDDINGS, TEXT_JUDGEMENTS
from pipelines.tables.features import HISTORIES

Version = tuple[str, str]
"""Name and version, as in the columns `encoder` and `encoder_version`; also the fused recipe's."""


@dataclass(frozen=True)
class Stored:
    """What a Delta table holds of a version: rows that are not deleted, and the bytes of their files."""

    table: str
    rows: int
    bytes: int


@dataclass(frozen=True)
class UsedView:
    """A registered feature view that depends on a version, the services that read it and what is online of it."""

    name: str
    table: str
    version: Version
    releases: tuple[str, ...]
    services: tuple[str, ...]
    online: Held


def stored_versions(settings: Settings) -> dict[Version, list[Stored]]:
    """Rows and bytes in Delta by version, tables in the order of their declaration.

    Raises UnsupportedTableError.
    """
    found: dict[Version, list[Stored]] = defaultdict(list)
    for table in (EMBEDDINGS, TEXT_JUDGEMENTS, *(history for history in HISTORIES if history.depends_on)):
        try:
            files = read_snapshot(table.location(settings.under_home().rstrip("/"))).files
        except TableNotFoundError:
            continue
        rows: dict[Version, int] = defaultdict(int)
        size: dict[Version, int] = defaultdict(int)
        for file in files:
            version = (file.partition["encoder"] or "", file.partition["encoder_version"] or "")
            rows[version] += file.rows
            size[version] += file.size
        for version in rows:
            found[version].append(Stored(table.name, rows[version], size[version]))
    return dict(found)


def used_views(settings: Settings) -> list[UsedView]:
    """The registered views that depend on an encoder or a recipe, by name.

    Reads every key of the online store. Raises OnlineStoreUnreachableError.
    """
    feast = feature_store(settings, offline=False)
    views = sorted((v for v in feast.list_batch_feature_views() if "encoder" in v.tags), key=lambda v: str(v.name))
    readers = _readers(feast.list_feature_services())
    held = packed_store(feast).keeper(feast.config).held([field_id(view.name) for view in views])
    return [
        UsedView(
            name=view.name,
            table=_source(view).declared_table.name,
            version=(view.tags["encoder"], view.tags["encoder_version"]),
            releases=tuple(view.tags["release"].split(",")),
            services=tuple(sorted(readers[view.name])),
            online=of_view,
        )
        for view, of_view in zip(views, held, strict=True)
    ]


def unfilled_views(settings: Settings) -> list[UsedView]:
    """Views of a version of which Delta holds rows and nothing is online, while of the same table's other versions
    something is: versions have rows of the same users. Raises as `used_views`.
    """
    views, stored = used_views(settings), stored_versions(settings)
    kept = {(of.table, version) for version, tables in stored.items() for of in tables if of.rows}
    filled = {(view.table, view.version) for view in views if view.online.rows}
    tables = {table for table, _ in filled}
    return [v for v in views if v.table in tables and (v.table, v.version) in kept - filled]


def _source(view: FeatureView) -> DeltaSource:
    source = view.batch_source
    assert isinstance(source, DeltaSource)
    return source


def _readers(services: Sequence[FeatureService]) -> dict[str, list[str]]:
    """Names of the services by view."""
    readers: dict[str, list[str]] = defaultdict(list)
    for service in services:
        for projection in service.feature_view_projections:
            readers[projection.name].append(service.name)
    return readers
