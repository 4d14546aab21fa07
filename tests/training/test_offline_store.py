"""The offline store through Feast's own calls: what its universal suite asks of a store, and what we ask beyond."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from feast import FeatureService, FeatureStore
from feast.dqm.errors import ValidationFailed
from feast.dqm.profilers.profiler import Profile, Profiler, ValidationError, ValidationReport
from feast.errors import (
    EntityTimestampInferenceException,
    FeastEntityDFMissingColumnsError,
    SavedDatasetLocationAlreadyExists,
)
from feast.feature_logging import LOG_TIMESTAMP_FIELD, FeatureServiceLoggingSource, LoggingConfig
from feast.infra.offline_stores.file_source import FileSource

from pipelines.errors import EntityFrameError, FeatureViewError
from pipelines.point_in_time.delta_log import read_snapshot
from pipelines.serving.delta_source import DeltaSource
from pipelines.settings import PROJECT_ROOT
from pipelines.training.feast_destinations import DeltaLoggingDestination, SavedDatasetDeltaStorage
from pipelines.training.feature_views import delta_source_of
from pipelines.training.offline_store import DeltaOfflineStore
from pipelines.training.retrieval_job import DeltaRetrievalJob
from tests.training.feast_repo import DAY, HOUR, feature_store

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# Feast marks saved datasets and their validation as experimental.
pytestmark = pytest.mark.filterwarnings("ignore:.*experimental:RuntimeWarning")


@dataclass
class Range(Profile):
    """Data quality as plainly as Feast has it: values of a column stay within those of the reference."""

    column: str
    low: float
    high: float

    def validate(self, dataset: pd.DataFrame) -> ValidationReport:
        outside = ~dataset[self.column].between(self.low, self.high)
        return RangeReport(self.column, int(outside.sum()))

    def to_proto(self) -> None:
        """Kept by nobody: the tests cache no profile."""

    @classmethod
    def from_proto(cls, proto: None) -> Range:
        raise AssertionError("no profile was kept")


@dataclass
class KnownRange(Profiler):
    column: str

    def analyze_dataset(self, dataset: pd.DataFrame) -> Profile:
        values = dataset[self.column]
        return Range(self.column, values.min(), values.max())

    def to_proto(self) -> None:
        """Kept by nobody: the tests store no reference."""

    @classmethod
    def from_proto(cls, proto: None) -> KnownRange:
        raise AssertionError("no profiler was kept")


@dataclass
class RangeReport(ValidationReport):
    column: str
    outside: int

    @property
    def is_success(self) -> bool:
        return not self.outside

    @property
    def errors(self) -> list[ValidationError]:
        return [ValidationError("within the reference", self.column, unexpected_count=self.outside)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("feast")


@pytest.fixture(scope="module")
def store(folder: Path) -> FeatureStore:
    return feature_store(folder, engine="local", staging_location=str(folder / "exports"))


def source_of(store: FeatureStore, view: str) -> DeltaSource:
    return delta_source_of(store.get_feature_view(view))


def asked(store: FeatureStore, rows: Any, *features: str, **options: Any) -> dict[str, list[Any]]:
    frame = pd.DataFrame(rows) if isinstance(rows, dict) else rows
    found: dict[str, list[Any]] = store.get_historical_features(frame, list(features), **options).to_arrow().to_pydict()
    return found


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


# From here on Spark takes part: it reads SQL and writes Delta.


@pytest.fixture
def spark_elsewhere(spark: SparkSession) -> Iterator[SparkSession]:
    """The session, in another time zone than ours."""
    spark.conf.set("spark.sql.session.timeZone", "America/New_York")
    yield spark
    spark.conf.set("spark.sql.session.timeZone", "UTC")


def test_entity_rows_as_sql_and_as_spark_frame(store: FeatureStore, spark_elsewhere: SparkSession) -> None:
    table = source_of(store, "weather").get_table_query_string()
    query = f"SELECT place, event_timestamp AS at FROM {table} WHERE place = 'rome' ORDER BY at"
    given: list[Any] = [query, spark_elsewhere.sql(query)]
    for rows in given:
        job = store.get_historical_features(rows, ["weather:temperature"])
        assert job.to_arrow().column("temperature").to_pylist() == [20.0, 21.0, 22.0]
    assert isinstance(job, DeltaRetrievalJob)
    frame = job.to_spark_df()
    assert sorted(r.temperature for r in frame.where("place = 'rome'").collect()) == [20.0, 21.0, 22.0]


def test_saved_datasets_and_their_validation(store: FeatureStore, folder: Path, spark: SparkSession) -> None:
    rows = pd.DataFrame({"place": ["oslo", "rome"], "event_timestamp": [DAY, DAY + HOUR], "label": [1, 0]})
    job = store.get_historical_features(rows, ["weather:temperature"])
    storage = SavedDatasetDeltaStorage(str(folder / "saved"))
    store.create_saved_dataset(job, "temperatures", storage)
    again = store.get_saved_dataset("temperatures")
    assert isinstance(again.storage, SavedDatasetDeltaStorage)
    assert again.to_df().sort_values("place")["temperature"].tolist() == [0.0, 21.0]
    with pytest.raises(SavedDatasetLocationAlreadyExists):
        store.create_saved_dataset(job, "temperatures", storage)
    store.create_saved_dataset(job, "temperatures", storage, allow_overwrite=True)
    assert read_snapshot(storage.path).version == 1


def test_results_are_validated_against_a_saved_dataset(store: FeatureStore, folder: Path, spark: SparkSession) -> None:
    rows = pd.DataFrame({"place": ["oslo", "rome"], "event_timestamp": [DAY, DAY + HOUR]})
    job = store.get_historical_features(rows, ["weather:temperature"])
    saved = store.create_saved_dataset(job, "normal", SavedDatasetDeltaStorage(str(folder / "normal")))
    reference = saved.as_reference(name="normal", profiler=KnownRange("temperature"))
    assert job.to_df(validation_reference=reference)["temperature"].tolist() == [0.0, 21.0]
    later = pd.DataFrame({"place": ["rome"], "event_timestamp": [DAY + 2 * HOUR]})
    with pytest.raises(ValidationFailed) as failed:
        store.get_historical_features(later, ["weather:temperature"]).to_arrow(validation_reference=reference)
    [error] = failed.value.report.errors
    assert (error.column_name, error.unexpected_count) == ("temperature", 1)


def test_rows_are_written_back(store: FeatureStore, folder: Path, spark: SparkSession) -> None:
    row = pd.DataFrame({"place": ["bern"], "event_timestamp": [DAY], "temperature": [5.0]})
    store.write_to_offline_store("weather", row)
    assert asked(store, {"place": ["bern"], "at": [DAY]}, "weather:temperature")["temperature"] == [5.0]
    with pytest.raises(FeatureViewError, match="has the columns"):
        DeltaOfflineStore.offline_write_batch(
            store.config, store.get_feature_view("weather"), pa.table({"place": ["x"]}), None
        )


def test_features_are_logged(store: FeatureStore, folder: Path, spark: SparkSession) -> None:
    service = store.get_feature_service("trip")
    logs = pa.table({"place": ["oslo"], "weather__temperature": [1.5], LOG_TIMESTAMP_FIELD: pa.array([DAY])})
    for _ in range(2):
        store.write_logged_features(logs, service)
    written = read_snapshot(str(folder / "logs"))
    assert (written.version, set(written.schema.names)) == (1, set(logs.column_names))


def test_logged_features_are_validated(store: FeatureStore, folder: Path, spark: SparkSession) -> None:
    ends = FeatureService(
        name="watched",
        features=[store.get_feature_view("weather")],
        logging_config=LoggingConfig(DeltaLoggingDestination(str(folder / "watched"))),
    )
    store.apply(ends)
    schema = FeatureServiceLoggingSource(ends, store.project).get_schema(store.registry)
    rows = [
        {"place": "oslo", "weather__temperature": value, LOG_TIMESTAMP_FIELD: DAY + hours * HOUR}
        for hours, value in enumerate([0.5, 20.0, 99.0])
    ]
    store.write_logged_features(pa.Table.from_pylist(rows, schema=schema), ends)
    usual = pd.DataFrame({"place": ["oslo", "rome"], "event_timestamp": [DAY, DAY + HOUR]})
    job = store.get_historical_features(usual, ["weather:temperature"], full_feature_names=True)
    saved = store.create_saved_dataset(job, "usual", SavedDatasetDeltaStorage(str(folder / "usual")))
    reference = saved.as_reference(name="usual", profiler=KnownRange("weather__temperature"))
    for hours, fails in ((1, False), (2, True)):
        failed = store.validate_logged_features(
            ends, DAY, DAY + hours * HOUR, reference, throw_exception=False, cache_profile=False
        )
        assert (failed is not None) == fails
