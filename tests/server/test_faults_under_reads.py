"""Redis killed and restarted while others read: never a wrong value, clear errors meanwhile, recovery by itself."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable

from pipelines.settings import Settings
from tests.online.online_home import ACTIVITY, OnlineHome
from tests.online.redis_server import RedisServer
from tests.server.conftest import Serve, Served
from tests.server.test_answers import column
from tests.server.test_bad_input import redis_settings

_KILLS = 5
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
