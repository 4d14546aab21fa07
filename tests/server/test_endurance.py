"""Mixed load on a server of its own process: no errors, no stall, and memory that stays what it is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from pipelines.client import FeatureClient
from pipelines.errors import FeatureRequestError
from pipelines.settings import PROJECT_ROOT, Settings
from tests.online.online_home import ACTIVITY, PICTURES, VECTORS, OnlineHome
from tests.online.redis_server import RedisServer
from tests.server.conftest import KEY
from tests.server.mixed_load import put
from tests.server.test_bad_input import redis_settings
from tests.server.test_running import free_port

USERS = [f"u{i}" for i in range(500)]
PRODUCTS = [f"p{i}" for i in range(500)]
_SHORT_SECONDS = 3
_LONG_SECONDS = 600
_ROUNDS = 20


@pytest.fixture
def crowd(settings: Settings, redis_server: RedisServer) -> OnlineHome:
    """Users who allow everything, each with an interest, and products with pictures."""
    home = OnlineHome(redis_settings(settings, redis_server))
    drawn = np.random.default_rng(8)
    people, products = len(USERS), len(PRODUCTS)
    home.write_all("user_consent", USERS, purposes=[["personalisation"]] * people)
    home.write_all(ACTIVITY, USERS, views_7d=drawn.integers(100, size=people).tolist())
    tastes = drawn.normal(size=(people, 4)).tolist()
    home.write_all(PICTURES, USERS, mean_7d=tastes, medoid_product_ids=[["p1", "p2"]] * people)
    home.write_all(VECTORS, PRODUCTS, image_vector=drawn.normal(size=(products, 4)).tolist())
    home.write_all("product_activity", PRODUCTS, price=drawn.random(products).tolist())
    home.keeper.set_mark("filled")
    return home


@pytest.fixture
def process(crowd: OnlineHome) -> Iterator[tuple[psutil.Process, str]]:
    """`mmfs serve` with logging of answers, and its address."""
    port = free_port()
    environment = os.environ | {
        "MMFS_API_KEYS": f"tests:{KEY}",
        "MMFS_FEAST_CONFIG": crowd.settings.feast_config,
        "MMFS_REDIS": crowd.settings.redis,
        "MMFS_SERVE__LOG_SHARE": "0.01",
        "PYTHONPATH": str(PROJECT_ROOT),
    }
    command = [sys.executable, "-m", "pipelines", "serve", "--port", str(port), "--home", crowd.settings.home]
    server = subprocess.Popen(command, env=environment)
    url = f"http://127.0.0.1:{port}"
    client, deadline = FeatureClient(url, KEY), time.monotonic() + 240
    while True:
        try:
            client.features(["u1"], "recommendation")
            break
        except FeatureRequestError:
            assert time.monotonic() < deadline
            assert server.poll() is None
            time.sleep(0.2)
    yield psutil.Process(server.pid), url
    server.terminate()
    # With one worker uvicorn ends by the signal, when it has finished.
    assert server.wait(60) in (0, -signal.SIGTERM)


def test_mixed_load_for_a_moment(process: tuple[psutil.Process, str], crowd: OnlineHome) -> None:
    load = put(process[1], KEY, USERS, PRODUCTS, _SHORT_SECONDS)
    assert not +load.errors
    assert all(load.spans.values())


@pytest.mark.soak
def test_mixed_load_for_ten_minutes(process: tuple[psutil.Process, str], crowd: OnlineHome) -> None:
    server, url = process
    # The first round fills what is kept in memory.
    rounds = []
    for number in range(_ROUNDS):
        load = put(url, KEY, USERS, PRODUCTS, _LONG_SECONDS / _ROUNDS)
        assert not +load.errors, load.errors
        memory = server.memory_info().rss / 2**20
        rounds.append((load, memory))
        print(f"{number}: {load.answers} answers, {memory:.0f} MiB, stalls {load.stalls()}")
    used = [memory for _, memory in rounds[_ROUNDS // 4 :]]
    assert max(used) - min(used) < 0.05 * min(used), used
    stalls = [slow for load, _ in rounds for slow in load.stalls().values() if slow]
    assert not stalls, stalls
    assert list((Path(crowd.settings.home) / "answers").iterdir())
