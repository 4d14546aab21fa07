"""A small Feast repository: what users like and do, in Delta tables, with every type of feature."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
from feast import Entity, FeatureService, FeatureStore, FeatureView, Field, PushSource, RepoConfig, ValueType
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from feast.types import Array, Bool, Float32, Float64, Int32, Int64, String, UnixTimestamp

from pipelines.online.store import PackedOnlineStore
from pipelines.serving.delta_source import DeltaSource
from tests.point_in_time.delta_by_hand import commit, history

DAY = datetime(2026, 3, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)
MICROS = pa.timestamp("us", tz="UTC")
LIKES = {
    "taste": pa.list_(pa.float32()),
    "brands": pa.list_(pa.string()),
    "since": MICROS,
    "level": pa.int32(),
    "member": pa.bool_(),
    "city": pa.string(),
    "share": pa.float64(),
}


def likes_row(user: str, at: datetime, created: datetime, **values: Any) -> tuple[Any, ...]:
    return (user, at, created, *(values.get(name) for name in LIKES))


class Shop:
    """The repository, applied."""

    def __init__(self, folder: Path, online: dict[str, Any], project: str = "shop") -> None:
        self.folder = folder
        likes = pa.schema([("user_id", pa.string()), ("at", MICROS), ("known", MICROS), *LIKES.items()])
        self.commit("likes", likes.empty_table())
        self.commit("visits", history([], user_id=pa.string(), at=MICROS, visits=pa.int64()))
        self.store = FeatureStore(
            config=RepoConfig(
                project=project,
                provider="local",
                registry={"path": str(folder / f"{project}.db"), "cache_ttl_seconds": 0},
                online_store=online,
                offline_store={"type": "pipelines.training.offline_store.DeltaOfflineStore", "engine": "local"},
                entity_key_serialization_version=3,
            )
        )
        self.store.apply(self.objects())

    def commit(self, table: str, rows: pa.Table) -> None:
        commit(self.folder / table, rows)

    def like(self, *rows: tuple[Any, ...]) -> None:
        """Append rows of `likes_row` to the history."""
        self.commit("likes", history(rows, user_id=pa.string(), at=MICROS, known=MICROS, **LIKES))

    def objects(self, more: tuple[Field, ...] = ()) -> list[Any]:
        user = Entity(name="user", join_keys=["user_id"], value_type=ValueType.STRING)
        source = DeltaSource(
            name="likes", path=str(self.folder / "likes"), timestamp_field="at", created_timestamp_column="known"
        )
        likes = FeatureView(
            name="likes",
            entities=[user],
            ttl=timedelta(0),
            schema=[
                Field(name="user_id", dtype=String),
                Field(name="taste", dtype=Array(Float32)),
                Field(name="brands", dtype=Array(String)),
                Field(name="since", dtype=UnixTimestamp),
                Field(name="level", dtype=Int32),
                Field(name="member", dtype=Bool),
                Field(name="city", dtype=String),
                Field(name="share", dtype=Float64),
                *more,
            ],
            source=source,
        )
        visits = FeatureView(
            name="visits",
            entities=[user],
            ttl=timedelta(days=1),
            schema=[Field(name="user_id", dtype=String), Field(name="visits", dtype=Int64)],
            source=PushSource(
                name="visits_pushed",
                batch_source=DeltaSource(name="visits", path=str(self.folder / "visits"), timestamp_field="at"),
            ),
        )
        return [user, likes, visits, FeatureService(name="all", features=[likes, visits])]

    @property
    def online(self) -> PackedOnlineStore:
        online = self.store._get_provider().online_store
        assert isinstance(online, PackedOnlineStore)
        return online

    def put(self, user: str, at: datetime, created: datetime | None = None, **values: Value) -> None:
        """One row of `likes`, through Feast's interface for stores."""
        view = self.store.get_feature_view("likes")
        key = EntityKey(join_keys=["user_id"], entity_values=[Value(string_val=user)])
        self.online.online_write_batch(self.store.config, view, [(key, values, at, created)], None)

    def asked(self, *users: str, features: list[str] | None = None) -> dict[str, list[tuple[str, Any]]]:
        """Status and value of each feature per user, as `get_online_features` answers."""
        rows = [{"user_id": user} for user in users]
        wanted = features or self.store.get_feature_service("all")
        answer = self.store.get_online_features(wanted, rows)
        values = answer.to_dict()
        names = list(answer.proto.metadata.feature_names.val)
        statuses = {n: r.statuses for n, r in zip(names, answer.proto.results, strict=True)}
        return {n: [(_STATUS[s], v) for s, v in zip(statuses[n], values[n], strict=True)] for n in names}


_STATUS = {1: "PRESENT", 2: "NULL_VALUE", 3: "NOT_FOUND", 4: "OUTSIDE_MAX_AGE"}
