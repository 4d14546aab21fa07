"""MLflow's tables, made once: each home of a test starts from a copy of the empty database."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.releases.mlflow_client import mlflow_client
from pipelines.settings import Settings


@pytest.fixture(scope="session")
def empty_mlflow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    settings = Settings(home=str(tmp_path_factory.mktemp("mlflow") / "home"))
    with mlflow_client(settings) as client:
        client.search_experiments()
    return Path(settings.under_home("mlflow", "mlflow.db"))


@pytest.fixture(scope="session")
def home_with_mlflow(empty_mlflow: Path) -> Callable[[Path], Settings]:
    """Settings of a home in a new folder, whose MLflow has its tables and nothing in them."""

    def made(folder: Path) -> Settings:
        settings = Settings(home=str(folder))
        target = Path(settings.under_home("mlflow", "mlflow.db"))
        target.parent.mkdir(parents=True)
        shutil.copy(empty_mlflow, target)
        return settings

    return made
