"""Questions of every kind and size put to a server for a while, by several clients; what came of them."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from pipelines.client import FeatureClient
from pipelines.errors import FeatureRequestError

# How often each is asked, ids or candidates per question.
_SIZES = {"one user": (12, 1), "some users": (4, 20), "many users": (1, 100), "ranking": (3, 100)}
_TICK = 0.002
_SLOW = 10


@dataclass
class Load:
    """What happened: when each answer of a kind was asked for and had, seconds; errors by code."""

    spans: dict[str, list[tuple[float, float]]] = field(default_factory=lambda: {kind: [] for kind in _SIZES})
    errors: Counter[str] = field(default_factory=Counter)
    # When this process had to wait for a processor, and for how long: nobody's answers are faster then.
    pauses: list[tuple[float, float]] = field(default_factory=list)

    def stalls(self) -> dict[str, list[float]]:
        """Of each kind the answers that took more than ten times the median, without the pauses: in medians."""
        starts, lengths = np.array(self.pauses or [(0.0, 0.0)]).T
        found = {}
        for kind, spans in self.spans.items():
            begun, ended = np.array(spans).T
            median = float(np.median(ended - begun))
            slow = []
            for at, end in zip(begun, ended, strict=True):
                if end - at > _SLOW * median:
                    among = (starts + lengths > at) & (starts < end)
                    taken = end - at - float(lengths[among].sum())
                    if taken > _SLOW * median:
                        slow.append(taken / median)
            found[kind] = slow
        return found

    @property
    def answers(self) -> int:
        return sum(map(len, self.spans.values()))


def put(url: str, key: str, users: Sequence[str], products: Sequence[str], seconds: float, clients: int = 2) -> Load:
    """Ask for so long; what is asked is drawn with the client's number as seed."""
    load, until = Load(), time.monotonic() + seconds
    threads = [
        threading.Thread(target=_ask, args=(load, FeatureClient(url, key, attempts=1), n, users, products, until))
        for n in range(clients)
    ]
    threads.append(threading.Thread(target=_watch, args=(load, until)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return load


def _ask(
    load: Load, client: FeatureClient, number: int, users: Sequence[str], products: Sequence[str], until: float
) -> None:
    drawn = random.Random(number)
    kinds, weights = list(_SIZES), [often for often, _ in _SIZES.values()]
    while time.monotonic() < until:
        [kind] = drawn.choices(kinds, weights)
        size = _SIZES[kind][1]
        asked = drawn.choices(users, k=size)
        candidates = drawn.choices(products, k=size)
        started = time.monotonic()
        try:
            if kind == "ranking":
                count = len(client.rank(asked[0], candidates).product_ids)
            else:
                count = len(client.features(asked, "recommendation").ids)
        except FeatureRequestError as error:
            load.errors[error.code] += 1
            continue
        load.spans[kind].append((started, time.monotonic()))
        load.errors["short answer"] += count != size
    client.close()


def _watch(load: Load, until: float) -> None:
    while (asleep := time.monotonic()) < until:
        time.sleep(_TICK)
        late = time.monotonic() - asleep - _TICK
        if late > _TICK:
            load.pauses.append((asleep + _TICK, late))
