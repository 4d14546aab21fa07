"""The offline store read through Feast's own calls: what its suite asks of a store, and more."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
from feast import FeatureStore
from feast.errors import EntityTimestampInferenceException, FeastEntityDFMissingColumnsError
from feast.infra.offline_stores.file_source import FileSource

from pipelines.errors import EntityFrameError, FeatureViewError
from pipelines.settings import PROJECT_ROOT
from pipelines.training.offline_store import DeltaOfflineStore
from tests.training.feast_repo import DAY, HOUR, asked, source_of

# Feast marks on-demand views as experimental.
pytestmark = pytest.mark.filterwarnings("ignore:.*experimental:RuntimeWarning")


def test_order_count_columns_and_ttl(store: FeatureStore) -> None:
    hours = [9, 2, 2, 3.5, -1, 3.6]
    rows = {"place": ["oslo"] * 6, "label": list("abcdef"), "event_timestamp": [DAY + h * HOUR for h in hours]}
    found = asked(store, rows, "weather:temperature")
    assert list(found) == ["place", "label", "event_timestamp", "temperature"]
    assert found["label"] == list("abcdef")
    assert found["temperature"] == [None, 2.0, 2.0, 2.0, None, None]
    assert found["event_timestamp"] == rows["event_timestamp"]


def test_composite_keys_late_rows_and_field_mapping(store: FeatureStore, folder: Path) -> None:
    rows = {
        "driver": ["1", "11", "1", "1"],
        "car": [12, 2, 2, 12],
        "event_timestamp": [DAY + 30 * timedelta(minutes=1), DAY, DAY, DAY + HOUR],
    }
    found = asked(store, rows, "driving:trips", "driving:taste", full_feature_names=True)
    assert found["driving__trips"] == [7, 8, None, 9]
    assert found["driving__taste"] == [[1.0, 2.0], [3.0, 4.0], None, None]
    # As stock Feast does it, if so set; and as it does it when asked for.
    leaky = FeatureStore(config=store.config.model_copy(deep=True))
    leaky.config.offline_store.late_rows = True
    assert asked(leaky, rows, "driving:trips")["trips"] == [9, 8, None, 9]
    assert asked(leaky, rows, "driving:trips", filter_by_created_timestamp=True)["trips"] == [7, 8, None, 9]


def test_views_of_different_entities_without_entity_and_on_demand(store: FeatureStore) -> None:
    rows = {
        "place": ["rome", None],
        "driver": ["11", "1"],
        "car": [2.0, None],  # what pandas makes of a missing whole number
        "offset": [1.0, 1.0],
        "event_timestamp": [DAY + HOUR, DAY + 2 * HOUR],
    }
    features = ("weather:temperature", "driving:trips", "market:price", "felt_weather:felt")
    found = asked(store, rows, *features)
    assert (found["temperature"], found["trips"]) == ([21.0, None], [8, None])
    assert (found["price"], found["felt"][0]) == ([3.5, 4.5], 22.0)
    full = asked(store, rows, *features, full_feature_names=True)
    assert full["felt_weather__felt"][0] == 22.0


def test_one_view_under_two_names(store: FeatureStore) -> None:
    rows = {"from_place": ["oslo", "rome"], "to_place": ["rome", "oslo"], "event_timestamp": [DAY, DAY + HOUR]}
    job = store.get_historical_features(pd.DataFrame(rows), store.get_feature_service("ends"), full_feature_names=True)
    found = job.to_df()
    assert found["origin__temperature"].tolist() == [0.0, 21.0]
    assert found["target__temperature"].tolist() == [20.0, 1.0]
    assert job.metadata is not None
    assert job.metadata.min_event_timestamp == DAY


@pytest.mark.parametrize(
    "moments",
    [
        ["2026-03-10T02:00:00+01:00", "2026-03-10T02:00:00Z"],
        [datetime(2026, 3, 10, 10, tzinfo=timezone(timedelta(hours=9))), datetime(2026, 3, 10, 2, tzinfo=UTC)],
        pd.to_datetime(["2026-03-10T01:00:00", "2026-03-10T02:00:00"]),
        pd.to_datetime(["2026-03-09T21:00:00", "2026-03-09T22:00:00"]).tz_localize("America/New_York"),
    ],
    ids=["text", "mixed", "naive", "zone"],
)
def test_time_zones(store: FeatureStore, moments: Any) -> None:
    rows = pd.DataFrame({"place": ["oslo", "oslo"], "event_timestamp": moments})
    assert asked(store, rows, "weather:temperature")["temperature"] == [1.0, 2.0]


def test_entity_rows_that_cannot_be_used(store: FeatureStore) -> None:
    with pytest.raises(FeastEntityDFMissingColumnsError):
        asked(store, {"event_timestamp": [DAY]}, "weather:temperature")
    with pytest.raises(EntityTimestampInferenceException):
        asked(store, {"place": ["oslo"], "a": [DAY], "b": [DAY]}, "weather:temperature")
    with pytest.raises(EntityFrameError, match="would be there twice"):
        asked(store, {"place": ["oslo"], "temperature": [1], "at": [DAY]}, "weather:temperature")
    with pytest.raises(EntityFrameError, match="must be a pandas or Spark DataFrame"):
        asked(store, 7, "weather:temperature")
    with pytest.raises(EntityFrameError, match="column 'car' of the entity rows is string"):
        asked(store, {"driver": ["1"], "car": ["x"], "at": [DAY]}, "driving:trips")


def test_ids_that_pandas_made_floats(store: FeatureStore) -> None:
    """A column of numbers with a gap is float64; ids of text are found all the same; a fraction is told."""
    rows = pd.DataFrame({"driver": [1.0, None, 11.0], "car": [12, 12, 2], "event_timestamp": [DAY] * 3})
    found = store.get_historical_features(rows, ["driving:trips"]).to_arrow()
    assert found.column("trips").to_pylist() == [7, None, 8]
    rows.loc[0, "driver"] = 1.5
    with pytest.raises(EntityFrameError, match="column 'driver' of the entity rows is double"):
        store.get_historical_features(rows, ["driving:trips"]).to_arrow()


def test_a_negative_ttl_is_refused(store: FeatureStore) -> None:
    view = store.get_feature_view("weather")
    view.ttl = timedelta(seconds=-1)
    rows = pd.DataFrame({"place": ["oslo"], "event_timestamp": [DAY]})
    with pytest.raises(FeatureViewError, match="'weather' has a negative ttl"):
        DeltaOfflineStore.get_historical_features(
            store.config, [view], ["weather:temperature"], rows, store.registry, store.project
        )


def test_without_entity_rows_everybody_is_asked_for(store: FeatureStore) -> None:
    job = store.get_historical_features(features=["weather:temperature"], start_date=DAY, end_date=DAY + HOUR)
    assert sorted(job.to_df()[["place", "temperature"]].itertuples(index=False)) == [("oslo", 1.0), ("rome", 21.0)]


def test_materialising_and_pulling(store: FeatureStore) -> None:
    store.materialize(DAY, DAY + HOUR)
    answer = store.get_online_features(
        features=["weather:temperature", "driving:trips", "market:price"],
        entity_rows=[{"place": "rome", "driver": "1", "car": 12}],
    ).to_dict()
    # Of two rows of one moment the one created last.
    assert (answer["temperature"], answer["trips"], answer["price"]) == ([21.0], [9], [3.5])
    pulled = DeltaOfflineStore.pull_all_from_table_or_query(
        store.config, source_of(store, "driving"), ["driver", "car"], ["trips_raw"], "at", "known_at", DAY, DAY
    )
    assert pulled.to_arrow().column("trips").to_pylist() == [7, 8, 9]


def test_exports(store: FeatureStore, folder: Path) -> None:
    job = store.get_historical_features(pd.DataFrame({"place": ["oslo"], "at": [DAY]}), ["weather:temperature"])
    assert job.supports_remote_storage_export()
    [path] = job.to_remote_storage()
    assert pq.read_table(path).equals(job.to_arrow())


def test_a_source_of_another_kind_is_refused(store: FeatureStore, folder: Path) -> None:
    view = store.get_feature_view("weather")
    view.batch_source = FileSource(name="file", path=str(folder / "x.parquet"), timestamp_field="at")
    rows = pd.DataFrame({"place": ["a"], "at": [DAY]})
    with pytest.raises(FeatureViewError, match="'weather' reads from FileSource"):
        DeltaOfflineStore.get_historical_features(
            store.config, [view], ["weather:temperature"], rows, store.registry, store.project
        )


def test_nothing_here_needs_spark(tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules['pyspark'] = None\n"
        "from pathlib import Path\n"
        "import pandas as pd\n"
        "from tests.training.feast_repo import DAY, feature_store\n"
        f"store = feature_store(Path({str(tmp_path)!r}))\n"
        "rows = pd.DataFrame({'place': ['oslo'], 'event_timestamp': [DAY]})\n"
        "print(store.get_historical_features(rows, ['weather:temperature']).to_df()['temperature'].tolist())\n"
        "store.materialize(DAY, DAY)\n"
    )
    environment = os.environ | {"PYTHONPATH": str(PROJECT_ROOT), "JAVA_HOME": str(tmp_path / "no-java")}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "[0.0]" in done.stdout
