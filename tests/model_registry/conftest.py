"""Homes in new folders."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.settings import Settings


@pytest.fixture(scope="session")
def home_with_mlflow(with_mlflow: Callable[[Settings], Settings]) -> Callable[[Path], Settings]:
    """Settings of a home in a new folder, whose MLflow has its tables and nothing in them."""
    return lambda folder: with_mlflow(Settings(home=str(folder)))
