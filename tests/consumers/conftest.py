"""A shop of two tastes, made once for all tests of this folder that only read it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pipelines.consumers.publish import Learned, publish_consumer
from pipelines.delta import TableStore
from pipelines.releases.registry import register_release
from pipelines.run import new_run
from pipelines.serving.repo import apply
from pipelines.settings import Settings
from tests.consumers.taste_shop import TasteShop
from tests.evaluation.planted import RELEASE

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@pytest.fixture(scope="session")
def store_of(spark: SparkSession) -> Callable[[Settings], TableStore]:
    return lambda settings: TableStore(spark, settings)


@pytest.fixture(scope="session")
def shop(
    tmp_path_factory: pytest.TempPathFactory,
    store_of: Callable[[Settings], TableStore],
    with_mlflow: Callable[[Settings], Settings],
) -> TasteShop:
    shop = TasteShop(tmp_path_factory.mktemp("taste"), store_of)
    with_mlflow(shop.settings)
    return shop


@pytest.fixture(scope="session")
def learned(shop: TasteShop) -> Learned:
    """The consumer of ad clicks, run and registered; its page is `ads.html` beside the home."""
    # As a run does it: the encoders are registered before the definitions that name them are applied.
    register_release(RELEASE, shop.settings)
    apply(shop.settings, new_run(shop.settings, shop.now))
    return publish_consumer(shop.settings, "ad-click", Path(shop.settings.home).parent / "ads.html", as_of=shop.now)
