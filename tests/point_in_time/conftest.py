"""The engines, each for every test that asks for one."""

from __future__ import annotations

import pytest

from pipelines.point_in_time.engines import Engine, LocalEngine, SparkEngine


@pytest.fixture(params=["local", "spark"])
def engine(request: pytest.FixtureRequest) -> Engine:
    if request.param == "local":
        return LocalEngine(2)
    return SparkEngine(request.getfixturevalue("spark"))
