"""The encoders of a release, and shops to encode."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from encoders.bundled import prepare
from encoders.heads.spec import heads_for
from encoders.spec import resolve
from pipelines.delta import TableStore
from pipelines.releases.manifest import Release
from pipelines.settings import load_settings
from tests.encoding.silver_shop import Shop

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@pytest.fixture(scope="session")
def release() -> Release:
    chosen = load_settings()
    if chosen.clip_encoder.startswith("bundled:"):
        prepare(chosen.cache_dir)
    clip, review = (resolve(uri) for uri in (chosen.clip_encoder, chosen.review_encoder))
    return Release("r1", clip=clip, review=review, heads=heads_for(review))


@pytest.fixture(scope="module")
def new_shop(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Shop]:
    def make() -> Shop:
        folder = tmp_path_factory.mktemp("shop")
        return Shop(TableStore(spark, load_settings(home=str(folder / "home"))), folder / "drops")

    return make
