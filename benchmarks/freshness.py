"""How long after an event was written its user's features tell of it: p99 ≤ 5 s at 1,000 events a second.

A home of random vectors is filled, `mmfs stream` started on it with Redis, and files of events put into its folder at
an even rate. Each file has one user of its own, new until then, for whom a client asks until there is an answer.
Beside it: Feast's own push of as many rows to the same store.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from benchmarks.feature_job import DAYS, PRODUCTS, START, spec, write_shop
from encoders.load import WORKER_ENVIRONMENT
from pipelines.client.direct import DirectClient
from pipelines.delta import TableStore
from pipelines.features.build import build_features
from pipelines.governance.home import open_home
from pipelines.releases.manifest import Release
from pipelines.releases.pin import write_pin
from pipelines.run import new_run
from pipelines.serving.materialise import materialise
from pipelines.serving.repo import apply, feature_store
from pipelines.settings import Settings, load_settings
from pipelines.spark import spark_session
from tests.online.redis_server import RedisServer

EVENTS_PER_SECOND = 1000
FILES_PER_SECOND = 4
USERS = 400
SECONDS = 180
# Before that the stream starts and the JVM warms up.
WARM_UP_SECONDS = 60
_POLL_SECONDS = 0.05
_KINDS = ("view", "click", "add_to_cart", "purchase")
VIEW = "user_activity_personalisation"


def environment(settings: Settings) -> dict[str, str]:
    """What a process needs to work on the home."""
    named = {"HOME": settings.home, "FEAST_CONFIG": settings.feast_config, "REDIS": settings.redis}
    named["CONSENT_DEFAULT__PERSONALISATION"] = "allow"
    return os.environ | {f"MMFS_{name}": value for name, value in named.items()}


def furnish(settings: Settings) -> None:
    """A home with 50 events of each user, served."""
    open_home(settings, create=True)
    release = Release("r1", spec("clip"), spec("review"))
    write_pin(settings, [release], "r1")
    spark = spark_session(settings, "benchmark", WORKER_ENVIRONMENT)
    store = TableStore(spark, settings)
    write_shop(store, USERS * 50)
    run = new_run(settings, START + timedelta(days=DAYS))
    build_features(store, run, release)
    apply(settings, run)
    materialise(store, run)
    spark.stop()


class Producer:
    """Puts files of events into a folder; `written` has the time at which each file's own user was written."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._random = random.Random(7)
        self.written: dict[str, float] = {}

    def put(self, number: int) -> None:
        """One file, in place whole."""
        now = datetime.now(UTC).isoformat()
        count = EVENTS_PER_SECOND // FILES_PER_SECOND
        own = f"probe{number}"
        users = [own, *(f"u{self._random.randrange(USERS)}" for _ in range(count - 1))]
        rows = [
            {"event_id": f"{own}-{i}", "user_id": user, "event_type": self._random.choice(_KINDS), "quantity": 1,
             "price": 5, "product_id": f"p{self._random.randrange(PRODUCTS)}", "event_timestamp": now, "channel": "app"}
            for i, user in enumerate(users)
        ]  # fmt: skip
        hidden = self._folder / f".{own}.jsonl"
        hidden.write_text("".join(json.dumps(row) + "\n" for row in rows))
        hidden.rename(self._folder / f"{own}.jsonl")
        self.written[own] = time.time()

    def run(self, seconds: float) -> None:
        """Files at an even rate."""
        began = time.monotonic()
        for number in range(round(seconds * FILES_PER_SECOND)):
            time.sleep(max(0.0, began + number / FILES_PER_SECOND - time.monotonic()))
            self.put(number)


def readable_at(client: DirectClient, producer: Producer, until: float) -> dict[str, float]:
    """When each file's own user was first answered for, asked for all of them at short intervals."""
    found: dict[str, float] = {}
    while time.monotonic() < until:
        open_ones = [user for user in [*producer.written] if user not in found]
        if open_ones:
            answer = client.features(open_ones, features=[f"{VIEW}:views_1d"])
            there = [bool(time_) for time_ in answer.views[VIEW].event_timestamps]
            now = time.time()
            found |= {user: now for user, is_there in zip(open_ones, there, strict=True) if is_there}
        time.sleep(_POLL_SECONDS)
    return found


@contextmanager
def streaming(settings: Settings, folder: Path, log: Path) -> Iterator[None]:
    """`mmfs stream` in a process of its own."""
    command = [sys.executable, "-m", "pipelines", "stream", str(folder), "--every", "0.2"]
    with log.open("w") as said:
        process = subprocess.Popen(command, env=environment(settings), stdout=said)
        try:
            yield
        finally:
            process.terminate()
            process.wait()


def measure_stream(settings: Settings, folder: Path) -> tuple[list[float], list[dict[str, float]]]:
    """Seconds from written to readable, of files after the warm-up, and the stream's own figures."""
    incoming, log = folder / "incoming", folder / "stream.log"
    incoming.mkdir()
    producer = Producer(incoming)
    client = DirectClient(settings)
    with streaming(settings, incoming, log):
        worker = threading.Thread(target=producer.run, args=(WARM_UP_SECONDS + SECONDS,))
        worker.start()
        found = readable_at(client, producer, time.monotonic() + WARM_UP_SECONDS + SECONDS + 30)
        worker.join()
    first = WARM_UP_SECONDS * FILES_PER_SECOND
    judged = [(user, at) for i, (user, at) in enumerate(producer.written.items()) if i >= first]
    # Who was never answered for counts as for ever.
    seconds = [found.get(user, float("inf")) - at for user, at in judged]
    return seconds, [json.loads(line) for line in log.read_text().splitlines() if '"batch"' in line]


def measure_push(settings: Settings, rounds: int = 20) -> list[float]:
    """Seconds of Feast's own push of a second's users' rows of one view to the same store."""
    feast = feature_store(settings, offline=False)
    view = feast.get_feature_view(VIEW)
    columns: dict[str, object] = {field.name: [0] * USERS for field in view.features}
    at = pd.Timestamp.now(tz="UTC")
    columns |= {n: [at] * USERS for n in ("first_event_at", "last_event_at", "event_timestamp", "created_at")}
    rows = pd.DataFrame(columns | {"user_id": [f"pushed{i}" for i in range(USERS)]})
    taken = []
    for _ in range(rounds):
        started = time.perf_counter()
        feast.write_to_online_store(VIEW, rows)
        taken.append(time.perf_counter() - started)
    return taken


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        redis = RedisServer(folder)
        redis.start()
        try:
            settings = load_settings(
                home=str(folder / "home"),
                feast_config="feature_store.redis.yaml",
                redis=redis.address,
                consent_default={"personalisation": "allow"},
            )
            furnish(settings)
            fresh, batches = measure_stream(settings, folder)
            pushed = measure_push(settings)
        finally:
            redis.stop()
    table = Table("", "p50 s", "p99 s", title=f"{EVENTS_PER_SECOND:,} events/s of {USERS} users")
    steady = [batch for batch in batches if "reread_acts" not in batch]
    figures = {
        "mmfs stream, from event written to feature readable": fresh,
        "of it: a micro-batch until online": [batch["online_seconds"] for batch in steady],
        "of it: a micro-batch in all": [batch["seconds"] for batch in steady],
        f"Feast's push of one view, {USERS} rows": pushed,
    }
    for label, seconds in figures.items():
        table.add_row(label, *(f"{np.percentile(seconds, q):.2f}" for q in (50, 99)))
    Console().print(table)


if __name__ == "__main__":
    main()
