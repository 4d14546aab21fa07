"""What tests of every room share: one Spark session, homes, and the provided datasets where they are present."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pipelines.releases.mlflow_client import mlflow_client
from pipelines.settings import Settings
from pipelines.spark import spark_session, tune_for_small_tables
from tests.hand_made_home import Home

if TYPE_CHECKING:
    from pyspark.sql import SparkSession
    from xdist.remote import Producer
    from xdist.scheduler import LoadFileScheduling

PROJECT_ROOT = Path(__file__).resolve().parents[1]
# Files of these folders share what takes long to make: one process runs them. Others are dealt out file by file.
TOGETHER = (
    "comparison",
    "consumers",
    "encoders",
    "end_to_end",
    "finetuning",
    "model_registry",
    "sample_shop",
    "stream",
)
# Begun first: one of these left for the end would keep one process waiting for the other.
LONGEST = ("end_to_end", "sources", "features", "stream", "encoding", "promotion", "consumers", "comparison", "answers")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadFileScheduling:
    """Deals tests out to processes by what they share."""
    from xdist.scheduler import LoadFileScheduling

    class ByWhatIsShared(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = str(super()._split_scope(nodeid))
            folder = Path(file).parent
            return str(folder) if folder.name in TOGETHER else file

    return ByWhatIsShared(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first."""
    items.sort(key=lambda item: _place(item.path.parent.name))


def _place(folder: str) -> int:
    return LONGEST.index(folder) if folder in LONGEST else len(LONGEST)


@dataclass(frozen=True)
class SparkSettings:
    """The part of `Settings` that a session needs, independent of the developer's environment variables."""

    cache_dir: Path
    home: str
    cores: int = 2
    driver_memory: str = "4g"


@pytest.fixture(scope="session")
def spark_settings(tmp_path_factory: pytest.TempPathFactory) -> SparkSettings:
    return SparkSettings(cache_dir=PROJECT_ROOT / ".cache", home=str(tmp_path_factory.mktemp("home")))


@pytest.fixture(scope="session")
def spark(spark_settings: SparkSettings) -> Iterator[SparkSession]:
    session = spark_session(spark_settings, "tests")
    tune_for_small_tables(session)
    yield session
    session.stop()


@pytest.fixture
def spark_elsewhere(spark: SparkSession) -> Iterator[SparkSession]:
    """The session, in another time zone than ours."""
    spark.conf.set("spark.sql.session.timeZone", "America/New_York")
    yield spark
    spark.conf.set("spark.sql.session.timeZone", "UTC")


@pytest.fixture(scope="session")
def with_mlflow(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Settings], Settings]:
    """Gives a home without MLflow's database a copy of an empty one: MLflow's fifty migrations run once."""
    made = Settings(home=str(tmp_path_factory.mktemp("mlflow") / "home"))
    with mlflow_client(made) as client:
        client.search_experiments()
    empty = Path(made.under_home("mlflow", "mlflow.db"))

    def furnished(settings: Settings) -> Settings:
        target = Path(settings.under_home("mlflow", "mlflow.db"))
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(empty, target)
        return settings

    return furnished


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of provided public datasets; tests that need it are skipped where it is absent."""
    folder = Path(os.environ.get("MMFS_TEST_DATA", PROJECT_ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no test data at {folder}; set MMFS_TEST_DATA to the folder that holds it")
    return folder


@pytest.fixture
def home(tmp_path: Path, spark: SparkSession) -> Home:
    return Home(tmp_path / "home", spark)


@pytest.fixture(scope="module")
def standing_home(tmp_path_factory: pytest.TempPathFactory, spark: SparkSession) -> Home:
    """For tests that only read: one home for a whole module."""
    return Home(tmp_path_factory.mktemp("standing") / "home", spark)
