"""Reading to numpy and writing, within one process."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.table import Table

from benchmarks.online.stores import NUMBERS, SERVICE, VIEWS, Stores
from pipelines.online.reader import OnlineReader

Read = Callable[[list[str]], object]
_BATCHES = (1, 10, 100)


def measure_writes(stores: Stores) -> Table:
    """Users per second, all views, of one writer; and what they take in Redis."""
    table = Table("writing", "users/s", "ratio to stock", "bytes per user", title=f"{len(stores.users):,} users")
    client: Any = stores.redis.client()
    figures = {}
    drawn = stores.drawn(stores.users)
    packed = stores.packed(drawn)
    ways: Mapping[str, Callable[[], None]] = {
        "stock Feast, online_write_batch": lambda: stores.write_stock(drawn),
        "ours from Arrow, newer wins, atomically": lambda: stores.write_ours(drawn),
        "the same, again (old rows are compared)": lambda: stores.write_ours(drawn),
        "ours, the writer alone, again": lambda: stores.put_packed(packed),
        "floor: HSET of one value, pipelined": lambda: stores.write_floor(stores.users),
    }
    for way, write in ways.items():
        before = client.info("memory")["used_memory"]
        started = time.perf_counter()
        write()
        seconds = time.perf_counter() - started
        figures[way] = len(stores.users) / seconds, (client.info("memory")["used_memory"] - before) / len(stores.users)
    stock = figures["stock Feast, online_write_batch"][0]
    for way, (rate, size) in figures.items():
        table.add_row(way, f"{rate:,.0f}", f"{rate / stock:.1f}", f"{size:,.0f}")
    stores.write_consents()
    return table


def measure_clients(stores: Stores, rounds: int) -> Table:
    """Milliseconds from user ids to numpy columns."""
    ways = {
        "floor": _floor(stores),
        "ours": _ours(stores),
        "Feast SDK on ours": _sdk(stores.ours),
        "Feast SDK on stock": _sdk(stores.stock),
    }
    titles = [f"{n} users: p50 / p99 ms, ratio to floor" for n in _BATCHES]
    table = Table("reading to numpy", *titles, title=f"40 numbers, 4 vectors of {stores.dimensions}")
    cells: dict[str, list[str]] = {way: [] for way in ways}
    for size in _BATCHES:
        times = in_turns(stores, ways, size, max(rounds * 2 // (size + 4), 20))
        for way, taken in times.items():
            ratio = np.median(taken) / np.median(times["floor"])
            cells[way].append(f"{spread(taken)}, {ratio:.2f}")
    for way, row in cells.items():
        table.add_row(way, *row)
    return table


def in_turns(stores: Stores, ways: Mapping[str, Read], size: int, rounds: int) -> dict[str, npt.NDArray[np.float64]]:
    """Seconds of each way for the same questions, five of them at a turn."""
    taken: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(rounds):
        questions = [[*map(str, stores.random.choice(stores.users, size))] for _ in range(5)]
        for way, read in ways.items():
            for question in questions:
                started = time.perf_counter()
                read(question)
                taken[way].append(time.perf_counter() - started)
    return {way: np.array(times[len(times) // 20 :]) for way, times in taken.items()}


def spread(seconds: npt.NDArray[np.float64]) -> str:
    """Median and 99th percentile in milliseconds."""
    return f"{np.median(seconds) * 1e3:.2f} / {np.percentile(seconds, 99) * 1e3:.2f}"


def _floor(stores: Stores) -> Read:
    client: Any = stores.redis.client()
    numbers = 8 * VIEWS * NUMBERS

    def read(users: list[str]) -> object:
        with client.pipeline(transaction=False) as pipe:
            for user in users:
                pipe.hmget(f"floor:{user}", "row")
            rows = [row for (row,) in pipe.execute()]
        together = np.frombuffer(b"".join(rows), np.uint8).reshape(len(rows), -1)
        return together[:, :numbers].view("f8"), together[:, numbers:].view("f4")

    return read


def _ours(stores: Stores) -> Read:
    reader = OnlineReader(stores.settings)

    def read(users: list[str]) -> object:
        blocks = reader.read(users, SERVICE).blocks
        return [
            (block.statuses, block.times, block.numbers(), block.column(block.plan.features[-1])) for block in blocks
        ]

    return read


def _sdk(store: object) -> Read:
    service = store.get_feature_service(SERVICE)  # type: ignore[attr-defined]

    def read(users: list[str]) -> object:
        answer = store.get_online_features(service, [{"user_id": user} for user in users])  # type: ignore[attr-defined]
        return {name: np.array(values) for name, values in answer.to_dict().items()}

    return read
