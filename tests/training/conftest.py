"""A Feast repository on our offline store, for the tests of a module."""

from __future__ import annotations

from pathlib import Path

import pytest
from feast import FeatureStore

from tests.training.feast_repo import feature_store


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("feast")


@pytest.fixture(scope="module")
def store(folder: Path) -> FeatureStore:
    return feature_store(folder, engine="local", staging_location=str(folder / "exports"))
