"""Feast's feature views as the join sees them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta

from feast import BatchFeatureView, FeatureView
from feast.data_source import DataSource
from feast.feature_view import DUMMY_ENTITY_ID

from pipelines.errors import FeatureViewError
from pipelines.point_in_time.history_plan import HistoryView
from pipelines.serving.delta_source import DeltaSource


def delta_source_of(view: FeatureView) -> DeltaSource:
    """The view's batch source. Raises FeatureViewError where it is not a DeltaSource."""
    return require_delta(view.batch_source, f"feature view '{view.name}'")


def require_delta(source: DataSource | None, of: str) -> DeltaSource:
    """The source, if it is one of ours. Raises FeatureViewError."""
    if not isinstance(source, DeltaSource):
        raise FeatureViewError(f"{of} reads from {type(source).__name__}; this offline store reads DeltaSource alone")
    return source


def join_keys(view: FeatureView) -> list[tuple[str, str]]:
    """Pairs of the entity rows' column and the view's join key; none for a view without entities."""
    renamed = view.projection.join_key_map
    names = [column.name for column in view.entity_columns if column.name != DUMMY_ENTITY_ID]
    return [(renamed.get(name, name), name) for name in names]


def history_view(
    view: FeatureView,
    features: Iterable[str],
    *,
    full_names: bool,
    late_rows: bool = False,
) -> HistoryView:
    """A view's history, with the given features, named `<view>__<feature>` where `full_names`.

    Raises FeatureViewError for a view that computes its features when they are read.
    """
    if isinstance(view, BatchFeatureView) and view.feature_transformation is not None:
        raise FeatureViewError(f"feature view '{view.name}' transforms its source when read; write its rows to a table")
    if isinstance(view.ttl, timedelta) and view.ttl < timedelta(0):
        raise FeatureViewError(f"feature view '{view.name}' has a negative ttl; 0 or None means no bound")
    source = delta_source_of(view)
    stored = stored_names(source)
    prefix = f"{view.projection.name_to_use()}__" if full_names else ""
    created = source.created_timestamp_column
    return HistoryView(
        name=view.projection.name_to_use(),
        location=source.path,
        keys=tuple((asked, stored.get(key, key)) for asked, key in join_keys(view)),
        event_timestamp=stored.get(source.timestamp_field, source.timestamp_field),
        created_at=stored.get(created, created) or None,
        features=tuple((stored.get(name, name), prefix + name) for name in features),
        ttl=view.ttl if isinstance(view.ttl, timedelta) else None,
        where=source.partition,
        schema=source.declared_schema,
        late_rows=late_rows,
    )


def stored_names(source: DataSource) -> Mapping[str, str]:
    """Column names in the table by what the source's field mapping makes of them."""
    return {named: stored for stored, named in source.field_mapping.items()}
