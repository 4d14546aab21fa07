"""One small shop, drawn once for all tests."""

from pathlib import Path

import pytest

from pipelines.sample_shop import SampleShopSummary, write_sample_shop


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> SampleShopSummary:
    return write_sample_shop(tmp_path_factory.mktemp("shop") / "drop", users=20, days=10, seed=7)


@pytest.fixture(scope="session")
def drop(shop: SampleShopSummary) -> Path:
    return shop.path
