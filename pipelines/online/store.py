"""Feast's online store over packed rows (`layout.py`), whatever keeps them.

Of an entity and view the row with the greatest (event_timestamp, created_at) stays; an equal pair overwrites, so that
writing again changes nothing and a correction that repeats the times arrives. A row replaces the earlier one whole.
A row without created_at counts as created at its event_timestamp.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Literal

import pyarrow as pa
from feast import Entity, FeatureView
from feast.infra.online_stores.online_store import OnlineStore
from feast.infra.supported_async_methods import SupportedAsyncMethods
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from feast.repo_config import FeastConfigBaseModel, RepoConfig

from pipelines.online.feast_answers import ViewRequest, fill_response, grouped_requests, is_outside_ttl
from pipelines.online.keys import TextKeys, entity_key
from pipelines.online.layout import RowSchema, field_id, times_of
from pipelines.online.rows import Row, RowKeeper, Schemas
from pipelines.online.values import instant, microseconds, row_of_values, rows_of_batch, values_of_row

FeastRow = tuple[EntityKey, dict[str, Value], datetime, datetime | None]
FeastAnswer = list[tuple[datetime | None, dict[str, Value] | None]]


class PackedOnlineStoreConfig(FeastConfigBaseModel):
    """What every store of packed rows can be told in feature_store.yaml."""

    # When a store without rows counts as filled: as soon as definitions were applied to it, or only when
    # `mmfs materialise` was through. With the latter a store that lost its rows never calls a user unknown.
    ready_after: Literal["apply", "materialise"] = "apply"


class PackedOnlineStore(OnlineStore):
    """See the module. A subclass says what keeps the rows."""

    def __init__(self) -> None:
        self._keeper: RowKeeper | None = None

    @abstractmethod
    def _open(self, config: RepoConfig) -> RowKeeper:
        """What keeps the project's rows, by the store's configuration."""

    def keeper(self, config: RepoConfig) -> RowKeeper:
        """What keeps the project's rows; opened once."""
        if self._keeper is None:
            self._keeper = self._open(config)
        return self._keeper

    def quick_keeper(self, config: RepoConfig) -> RowKeeper | None:
        """The same rows for readers that must not wait (an event loop): it gives up soon. None where there is none."""
        return None

    @property
    def async_supported(self) -> SupportedAsyncMethods:
        return SupportedAsyncMethods(read=True, write=True)

    def online_write_batch(
        self, config: RepoConfig, table: FeatureView, data: list[FeastRow], progress: Callable[[int], Any] | None
    ) -> None:
        schema, field = RowSchema.of(table), field_id(table.name)
        rows = []
        for entity, values, event, created in data:
            at = microseconds(event)
            packed = row_of_values(schema, values, at, at if created is None else microseconds(created))
            rows.append(Row(entity_key(config.project, entity), field, packed))
        self.keeper(config).put(rows, {schema.fingerprint: schema.to_json()})
        if progress:
            progress(len(data))

    def write_arrow(self, config: RepoConfig, table: FeatureView, batch: pa.RecordBatch, times: tuple[str, str]) -> int:
        """Write rows of a view with one text join key; `times` are the columns event_timestamp and created_at.

        The columns of the features have the features' names. Returns how many rows were not older than what is there.
        """
        schema, field = RowSchema.of(table), field_id(table.name)
        [join_key] = table.join_keys
        keys = TextKeys(config.project, join_key).many(batch.column(join_key).to_pylist())
        packed = rows_of_batch(schema, batch, *times)
        rows = [Row(key, field, row) for key, row in zip(keys, packed, strict=True)]
        return self.keeper(config).put(rows, {schema.fingerprint: schema.to_json()})

    def online_read(
        self,
        config: RepoConfig,
        table: FeatureView,
        entity_keys: list[EntityKey],
        requested_features: list[str] | None = None,
    ) -> FeastAnswer:
        """Per entity its event_timestamp (aware, UTC) and values; (None, None) where there is no row within the ttl."""
        wanted = requested_features or [feature.name for feature in table.features]
        [(_, rows)] = self._rows(config, [(table, [entity_key(config.project, key) for key in entity_keys])])
        schema = RowSchema.of(table)
        answer: FeastAnswer = []
        for row in rows:
            if row is None or is_outside_ttl(table, row):
                answer.append((None, None))
            else:
                answer.append((instant(times_of(row)[0]), values_of_row(schema, row, wanted)))
        return answer

    def _rows(
        self, config: RepoConfig, asked: Sequence[tuple[FeatureView, list[bytes]]]
    ) -> list[tuple[FeatureView, list[bytes | None]]]:
        """Rows of the views by key, in their present schemas; views of the same keys are read together."""
        keeper = self.keeper(config)
        schemas = Schemas(keeper)
        together: dict[tuple[bytes, ...], list[int]] = {}
        for i, (_, keys) in enumerate(asked):
            together.setdefault(tuple(keys), []).append(i)
        found: dict[int, list[bytes | None]] = {}
        for together_keys, places in together.items():
            reading = keeper.read(together_keys, [field_id(asked[i][0].name) for i in places])
            reading.require_ready()
            for column, i in enumerate(places):
                schema = RowSchema.of(asked[i][0])
                column_rows = [row[column] for row in reading.rows]
                found[i] = [None if row is None else schemas.as_now(schema, row) for row in column_rows]
        return [(view, found[i]) for i, (view, _) in enumerate(asked)]

    # Feast reads view by view here unless a store knows better; its own Redis store overrides this as well.
    def _read_features_per_fv(
        self,
        config: RepoConfig,
        grouped_refs: list[Any],
        join_key_values: dict[str, Any],
        entity_name_to_join_key_map: dict[str, str],
        online_features_response: Any,
        full_feature_names: bool,
        include_feature_view_version_metadata: bool,
    ) -> None:
        requests: list[ViewRequest] = grouped_requests(grouped_refs, join_key_values, entity_name_to_join_key_map)
        asked = [(r.view, [entity_key(config.project, key) for key in r.entities]) for r in requests]
        for request, (_, rows) in zip(requests, self._rows(config, asked), strict=True):
            fill_response(
                online_features_response,
                request,
                rows,
                full_names=full_feature_names,
                versions=include_feature_view_version_metadata,
            )

    async def _read_features_per_fv_async(self, *arguments: Any) -> None:
        await asyncio.to_thread(self._read_features_per_fv, *arguments)

    async def online_read_async(
        self,
        config: RepoConfig,
        table: FeatureView,
        entity_keys: list[EntityKey],
        requested_features: list[str] | None = None,
    ) -> FeastAnswer:
        return await asyncio.to_thread(self.online_read, config, table, entity_keys, requested_features)

    async def online_write_batch_async(
        self, config: RepoConfig, table: FeatureView, data: list[FeastRow], progress: Callable[[int], Any] | None
    ) -> None:
        await asyncio.to_thread(self.online_write_batch, config, table, data, progress)

    def delete_entities(self, config: RepoConfig, join_key: str, values: Sequence[str]) -> int:
        """Delete everything kept of the entities, in every view and release; returns how many there were."""
        return self.keeper(config).delete_keys([*map(TextKeys(config.project, join_key), values)])

    def update(
        self,
        config: RepoConfig,
        tables_to_delete: Sequence[FeatureView],
        tables_to_keep: Sequence[FeatureView],
        entities_to_delete: Sequence[Entity],
        entities_to_keep: Sequence[Entity],
        partial: bool,
    ) -> None:
        """Rows of deleted views go; readers are told first."""
        keeper = self.keeper(config)
        keeper.raise_generation()
        if tables_to_delete:
            keeper.delete_fields([field_id(table.name) for table in tables_to_delete])
        if config.online_store.ready_after == "apply":
            keeper.set_mark("applied", only_if_none=True)

    def teardown(self, config: RepoConfig, tables: Sequence[FeatureView], entities: Sequence[Entity]) -> None:
        """Everything the project keeps goes."""
        self.keeper(config).delete_everything()
