"""Redis killed and restarted while others read: never a wrong value, clear errors meanwhile, recovery by itself."""

from __future__ import annotations

import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pipelines.client import FeatureClient
from pipelines.errors import FeatureRequestError, OnlineStoreError
from pipelines.serving.materialise import materialise
from pipelines.serving.repo import apply
from pipelines.settings import Settings
from pipelines.tables.features import USER_ACTIVITY
from pipelines.tables.sources import CONSENTS
from tests.hand_made_home import Home
from tests.online.online_home import ACTIVITY, OnlineHome
from tests.online.redis_server import RedisServer
from tests.server.conftest import KEY, Serve, Served
from tests.server.test_answers import column
from tests.server.test_bad_input import redis_settings
from tests.training.test_training_set import DAY, activity, grant

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_KILLS = 5
_SOAK_KILLS = 20
_PEOPLE = 20
_TOLD = {"online_store_unreachable", "online_store_not_ready", "too_slow", "overloaded"}


def features_of_ann(server: Served) -> str:
    told = server.ask_ann()
    if told.status != 200:
        return told.code
    return f"views {column(told.json, f'{ACTIVITY}__views_7d')['values']}"


def ranking_of_ann(server: Served) -> str:
    told = server.call("POST", "/get-ranking-features", json.dumps({"user_id": "ann", "product_ids": ["p1"]}).encode())
    if told.status != 200:
        return told.code
    similar = told.json["similarities"]
    return f"cosine {similar['values'][0][similar['names'].index('picture_7d_cosine')]:.3f}"


def test_no_wrong_value_while_redis_dies_again_and_again(
    settings: Settings, redis_server: RedisServer, serve: Serve, until: Callable[[Callable[[], bool]], None]
) -> None:
    home = OnlineHome(redis_settings(settings, redis_server)).furnish()
    server = serve(home.settings)
    until(lambda: server.ask_ann().status == 200)
    answers: Counter[str] = Counter()
    done = threading.Event()

    def read(question: Callable[[Served], str]) -> None:
        while not done.is_set():
            answers[question(server)] += 1

    readers = [threading.Thread(target=read, args=(question,)) for question in (features_of_ann, ranking_of_ann) * 2]
    for reader in readers:
        reader.start()
    try:
        for _ in range(_KILLS):
            time.sleep(0.2)
            redis_server.stop()
            time.sleep(0.2)
            redis_server.start()
            time.sleep(0.2)
            # Row by row, as a materialisation would, the mark at last.
            home.furnish()
            until(lambda: server.ask_ann().status == 200)
    finally:
        done.set()
        for reader in readers:
            reader.join()
    right = {"views [3]", "cosine 0.600"}
    assert set(answers) <= right | _TOLD, answers
    assert right <= set(answers)
    assert answers["online_store_not_ready"] + answers["online_store_unreachable"] > 0


class Progressing:
    """Everybody's views, 100 more in each round; a round is through when its materialisation is."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.people = {f"u{i}": i for i in range(_PEOPLE)}
        self.begun = self.through = 0
        self.wrong: list[str] = []
        self.told: Counter[str] = Counter()
        home.write(CONSENTS, *(grant(user, granted=True) for user in self.people))
        self.write()

    def write(self) -> None:
        self.begun += 1
        at = DAY + timedelta(days=self.begun)
        self.home.write(USER_ACTIVITY, *(activity(u, at, 100 * self.begun + i) for u, i in self.people.items()))

    def materialise(self) -> None:
        """Again and again until it is through."""
        while True:
            try:
                materialise(self.home.store, self.home.run(DAY + timedelta(days=self.begun)))
            except OnlineStoreError:
                time.sleep(0.1)
                continue
            self.through = self.begun
            return

    def read(self, client: FeatureClient, done: threading.Event) -> None:
        while not done.is_set():
            through = self.through
            try:
                view = client.features([*self.people], "recommendation").views[ACTIVITY]
            except FeatureRequestError as error:
                self.told[error.code] += 1
                continue
            self.told["ok"] += 1
            for i, value in zip(self.people.values(), view.values("views_7d"), strict=True):
                # Of the last round that was through, or of one that began since.
                if value is None or value % 100 != i or not through <= value // 100 <= self.begun:
                    self.wrong.append(f"{i}: {value} while {through} was through and {self.begun} begun")


@pytest.mark.soak
def test_killed_twenty_times_under_reads_and_materialisation(
    settings: Settings, tmp_path: Path, spark: SparkSession, redis_server: RedisServer, serve: Serve
) -> None:
    given = redis_settings(settings, redis_server)
    folder = tmp_path / "home"
    home = Home(
        folder, spark, **{name: getattr(given, name) for name in ("feast_config", "redis", "api_keys", "serve")}
    )
    shop = Progressing(home)
    apply(home.settings, home.run(DAY))
    shop.materialise()
    server = serve(home.settings)
    client, done = FeatureClient(f"http://127.0.0.1:{server.port}", KEY), threading.Event()
    readers = [threading.Thread(target=shop.read, args=(client, done)) for _ in range(2)]
    for reader in readers:
        reader.start()
    drawn = random.Random(8)
    try:
        for _ in range(_SOAK_KILLS):
            shop.write()
            writer = threading.Thread(target=shop.materialise)
            writer.start()
            # Before, in the midst of, or after its writing.
            writer.join(drawn.uniform(0, 8))
            redis_server.stop()
            time.sleep(drawn.uniform(0.1, 1))
            redis_server.start()
            writer.join()
            # What was written before the kill is gone, also where the round was through already.
            shop.materialise()
            before = shop.told["ok"]
            deadline = time.monotonic() + 60
            while shop.told["ok"] <= before:
                assert time.monotonic() < deadline, shop.told
                time.sleep(0.05)
    finally:
        done.set()
        for reader in readers:
            reader.join()
    assert not shop.wrong, shop.wrong[:10]
    assert set(shop.told) <= {"ok", "timeout", *_TOLD}, shop.told
    assert shop.told["online_store_not_ready"] + shop.told["online_store_unreachable"] > 0
