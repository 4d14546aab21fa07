"""The same users in three layouts on one Redis: the floor's, stock Feast's and ours."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from feast import Entity, FeatureService, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import FloatList, Value
from feast.types import Array, Float32, Float64, String

from pipelines.governance.home import open_home
from pipelines.online.keys import TextKeys
from pipelines.online.layout import RowSchema, field_id
from pipelines.online.rows import Row
from pipelines.online.store import PackedOnlineStore
from pipelines.online.values import rows_of_batch
from pipelines.releases.pin import write_pin
from pipelines.serving.repo import feature_store
from pipelines.settings import Settings
from pipelines.tables.features import USER_CONSENT
from tests.hand_made_home import tiny_release
from tests.online.redis_server import RedisServer

VIEWS, NUMBERS = 4, 10
AT = datetime(2026, 3, 1, tzinfo=UTC)
TIMES = ("event_timestamp", "created_at")
SERVICE = "profile"
_ROWS_AT_ONCE = 1000
# Batches by view.
Drawn = list[tuple[str, list[pa.RecordBatch]]]


class Stores:
    """Filled; `stock` and `ours` are Feast's stores of the same definitions, `settings` those of our home."""

    def __init__(self, folder: Path, redis: RedisServer, users: int, dimensions: int) -> None:
        self.folder, self.redis, self.dimensions = folder, redis, dimensions
        self.users = [f"user{i:07d}" for i in range(users)]
        self.random = np.random.default_rng(7)
        self.settings = Settings(
            home=str(folder / "home"), feast_config="feature_store.redis.yaml", redis=redis.address
        )
        open_home(self.settings, create=True)
        write_pin(self.settings, [tiny_release("r1")], "r1")
        self.ours = feature_store(self.settings, offline=False)
        self.stock = FeatureStore(config=self._stock_config())
        self.ours.apply(self._objects())
        self.stock.apply(self._objects())

    def _stock_config(self) -> RepoConfig:
        online = {"type": "redis", "connection_string": self.redis.address}
        return RepoConfig(
            project="stock",
            provider="local",
            registry={"path": str(self.folder / "stock.db"), "cache_ttl_seconds": 60},
            online_store=online,
            entity_key_serialization_version=3,
        )

    def stock_yaml(self) -> str:
        """feature_store.yaml of the stock store."""
        return (
            f"project: stock\nprovider: local\nregistry: {self.folder / 'stock.db'}\n"
            f"online_store:\n  type: redis\n  connection_string: {self.redis.address}\n"
            "entity_key_serialization_version: 3\n"
        )

    def _objects(self) -> list[Any]:
        user = Entity(name="user", join_keys=["user_id"], value_type=ValueType.STRING)
        source = FileSource(name="nowhere", path="nowhere.parquet", timestamp_field=TIMES[0])
        key = Field(name="user_id", dtype=String)
        names = self.feature_names()
        views = [
            FeatureView(
                name=f"view{v}",
                entities=[user],
                ttl=timedelta(0),
                schema=[key, *(Field(name=n, dtype=Array(Float32) if "vector" in n else Float64) for n in names[v])],
                source=source,
                tags={"purpose": "personalisation"},
            )
            for v in range(VIEWS)
        ]
        purposes = Field(name="purposes", dtype=Array(String))
        consent = FeatureView(
            name=USER_CONSENT.name, entities=[user], ttl=timedelta(0), schema=[key, purposes], source=source
        )
        tags = {"use": SERVICE, "release": "r1", "purpose": "personalisation"}
        return [user, source, *views, consent, FeatureService(name=SERVICE, features=[*views], tags=tags)]

    def feature_names(self) -> list[list[str]]:
        """Of each view; distinct, so that Feast's short names are."""
        return [[*(f"v{v}_n{i}" for i in range(NUMBERS)), f"v{v}_vector"] for v in range(VIEWS)]

    def batches(self, view: int, users: list[str]) -> Iterator[pa.RecordBatch]:
        """Rows of a view as Arrow."""
        for start in range(0, len(users), _ROWS_AT_ONCE):
            some = users[start : start + _ROWS_AT_ONCE]
            *numbers, vector = self.feature_names()[view]
            columns: dict[str, Any] = {"user_id": some}
            columns |= {name: self.random.random(len(some)) for name in numbers}
            flat = pa.array(self.random.standard_normal(len(some) * self.dimensions).astype("f4"))
            columns[vector] = pa.FixedSizeListArray.from_arrays(flat, self.dimensions).cast(pa.list_(pa.float32()))
            columns |= {name: pa.array([AT] * len(some), pa.timestamp("us", tz="UTC")) for name in TIMES}
            yield pa.RecordBatch.from_pydict(columns)

    def drawn(self, users: list[str]) -> Drawn:
        """Rows of every view as Arrow batches."""
        return [(f"view{view}", [*self.batches(view, users)]) for view in range(VIEWS)]

    def write_ours(self, drawn: Drawn) -> None:
        online = self.ours._get_provider().online_store
        assert isinstance(online, PackedOnlineStore)
        for view, batches in drawn:
            declared = self.ours.get_feature_view(view)
            for batch in batches:
                online.write_arrow(self.ours.config, declared, batch, TIMES)

    def packed(self, drawn: Drawn) -> list[list[Row]]:
        """The rows as they lie in our store, for its writer alone."""
        key = TextKeys(self.ours.config.project, "user_id")
        found = []
        for view, batches in drawn:
            schema, field = RowSchema.of(self.ours.get_feature_view(view)), field_id(view)
            for batch in batches:
                rows = zip(batch.column("user_id").to_pylist(), rows_of_batch(schema, batch, *TIMES), strict=True)
                found.append([Row(key(user), field, row) for user, row in rows])
        return found

    def put_packed(self, packed: list[list[Row]]) -> None:
        online = self.ours._get_provider().online_store
        assert isinstance(online, PackedOnlineStore)
        for rows in packed:
            online.keeper(self.ours.config).put(rows, {})

    def write_consents(self) -> None:
        online = self.ours._get_provider().online_store
        assert isinstance(online, PackedOnlineStore)
        times = {name: pa.array([AT] * len(self.users), pa.timestamp("us", tz="UTC")) for name in TIMES}
        purposes = [["marketing", "personalisation"]] * len(self.users)
        batch = pa.RecordBatch.from_pydict({"user_id": self.users, "purposes": purposes, **times})
        online.write_arrow(self.ours.config, self.ours.get_feature_view(USER_CONSENT.name), batch, TIMES)
        online.keeper(self.ours.config).set_mark("filled")

    def write_stock(self, drawn: Drawn) -> None:
        provider = self.stock._get_provider()
        for view, batches in drawn:
            declared = self.stock.get_feature_view(view)
            for batch in batches:
                provider.online_write_batch(self.stock.config, declared, [*_feast_rows(batch)], None)

    def write_floor(self, users: list[str]) -> None:
        """One value per user, as long as all numbers and all vectors."""
        client: Any = self.redis.client()
        value = self.random.bytes(8 * VIEWS * NUMBERS + 4 * VIEWS * self.dimensions)
        for start in range(0, len(users), _ROWS_AT_ONCE):
            with client.pipeline(transaction=False) as pipe:
                for user in users[start : start + _ROWS_AT_ONCE]:
                    pipe.hset(f"floor:{user}", "row", value)
                pipe.execute()


def _feast_rows(batch: pa.RecordBatch) -> Iterator[tuple[EntityKey, dict[str, Value], datetime, None]]:
    names = [name for name in batch.schema.names if name not in ("user_id", *TIMES)]
    for row in batch.to_pylist():
        key = EntityKey(join_keys=["user_id"], entity_values=[Value(string_val=row["user_id"])])
        values = {
            n: Value(float_list_val=FloatList(val=row[n])) if "vector" in n else Value(double_val=row[n]) for n in names
        }
        yield key, values, AT, None
