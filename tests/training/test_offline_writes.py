"""The offline store where Spark takes part: entity rows as SQL, saved datasets, rows written back, logged features."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
import pytest
from feast import FeatureService, FeatureStore
from feast.dqm.errors import ValidationFailed
from feast.dqm.profilers.profiler import Profile, Profiler, ValidationError, ValidationReport
from feast.errors import SavedDatasetLocationAlreadyExists
from feast.feature_logging import LOG_TIMESTAMP_FIELD, FeatureServiceLoggingSource, LoggingConfig

from pipelines.errors import FeatureViewError
from pipelines.point_in_time.delta_log import read_snapshot
from pipelines.training.feast_destinations import DeltaLoggingDestination, SavedDatasetDeltaStorage
from pipelines.training.offline_store import DeltaOfflineStore
from pipelines.training.retrieval_job import DeltaRetrievalJob
from tests.training.feast_repo import DAY, HOUR, asked, source_of

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
