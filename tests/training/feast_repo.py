"""A small Feast repository over hand-made Delta tables: trips with an origin and a destination, drivers, weather."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
from feast import Entity, FeatureService, FeatureStore, FeatureView, Field, RepoConfig, RequestSource, ValueType
from feast.feature_logging import LoggingConfig
from feast.on_demand_feature_view import on_demand_feature_view
from feast.types import Array, Float32, Float64, Int64, String

from pipelines.serving.delta_source import DeltaSource
from pipelines.training.feast_destinations import DeltaLoggingDestination
from pipelines.training.feature_views import delta_source_of
from tests.point_in_time.delta_by_hand import commit, history

DAY = datetime(2026, 3, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)
MICROS = pa.timestamp("us", tz="UTC")


def write_tables(folder: Path) -> None:
    places = [("oslo", DAY + h * HOUR, float(h)) for h in range(3)] + [
        ("rome", DAY + h * HOUR, 20.0 + h) for h in range(3)
    ]
    commit(folder / "places", history(places, place=pa.string(), event_timestamp=MICROS, temperature=pa.float64()))
    pairs = [
        ("1", 12, DAY, DAY, 7, [1.0, 2.0]),
        ("11", 2, DAY, DAY, 8, [3.0, 4.0]),
        ("1", 12, DAY, DAY + HOUR, 9, None),
    ]
    columns = {"driver": pa.string(), "car": pa.int64(), "at": MICROS, "known_at": MICROS, "trips_raw": pa.int64()}
    commit(folder / "drivers", history(pairs, **columns, taste=pa.list_(pa.float32())))
    commit(folder / "prices", history([(DAY, 3.5), (DAY + 2 * HOUR, 4.5)], event_timestamp=MICROS, price=pa.float64()))


def feature_store(folder: Path, **offline: Any) -> FeatureStore:
    """The repository's store, applied."""
    write_tables(folder)
    config = RepoConfig(
        project="trips",
        provider="local",
        registry=str(folder / "registry.db"),
        online_store={"type": "sqlite", "path": str(folder / "online.db")},
        offline_store={"type": "pipelines.training.offline_store.DeltaOfflineStore", **offline},
        entity_key_serialization_version=3,
    )
    store = FeatureStore(config=config)
    store.apply(objects(folder))
    return store


def objects(folder: Path) -> list[Any]:
    place = Entity(name="place", join_keys=["place"], value_type=ValueType.STRING)
    driver = Entity(name="driver", join_keys=["driver"], value_type=ValueType.STRING)
    car = Entity(name="car", join_keys=["car"], value_type=ValueType.INT64)
    weather = FeatureView(
        name="weather",
        entities=[place],
        ttl=90 * timedelta(minutes=1),
        schema=[Field(name="place", dtype=String), Field(name="temperature", dtype=Float64)],
        source=DeltaSource(name="places", path=str(folder / "places"), timestamp_field="event_timestamp"),
    )
    drivers = FeatureView(
        name="driving",
        entities=[driver, car],
        ttl=timedelta(0),
        schema=[
            Field(name="driver", dtype=String),
            Field(name="car", dtype=Int64),
            Field(name="trips", dtype=Int64),
            Field(name="taste", dtype=Array(Float32)),
        ],
        source=DeltaSource(
            name="drivers",
            path=str(folder / "drivers"),
            timestamp_field="at",
            created_timestamp_column="known_at",
            field_mapping={"trips_raw": "trips"},
        ),
    )
    prices = FeatureView(
        name="market",
        entities=[],
        ttl=timedelta(0),
        schema=[Field(name="price", dtype=Float64)],
        source=DeltaSource(name="prices", path=str(folder / "prices"), timestamp_field="event_timestamp"),
    )
    asked = RequestSource(name="asked", schema=[Field(name="offset", dtype=Float64)])

    @on_demand_feature_view(sources=[weather, asked], schema=[Field(name="felt", dtype=Float64)], mode="pandas")
    def felt_weather(inputs: pd.DataFrame) -> pd.DataFrame:
        return pd.DataFrame({"felt": inputs["temperature"] + inputs["offset"]})

    service = FeatureService(
        name="trip",
        features=[weather, drivers[["trips"]]],
        logging_config=LoggingConfig(DeltaLoggingDestination(str(folder / "logs"))),
    )
    ends = FeatureService(
        name="ends",
        features=[
            weather.with_name("origin").with_join_key_map({"place": "from_place"}),
            weather.with_name("target").with_join_key_map({"place": "to_place"}),
        ],
    )
    return [place, driver, car, weather, drivers, prices, felt_weather, service, ends]


def source_of(store: FeatureStore, view: str) -> DeltaSource:
    return delta_source_of(store.get_feature_view(view))


def asked(store: FeatureStore, rows: Any, *features: str, **options: Any) -> dict[str, list[Any]]:
    """The features of entity rows, by column."""
    frame = pd.DataFrame(rows) if isinstance(rows, dict) else rows
    found: dict[str, list[Any]] = store.get_historical_features(frame, list(features), **options).to_arrow().to_pydict()
    return found
