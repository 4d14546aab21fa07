"""How fast an encoder is on this machine, and how large."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from encoders.evaluation.estimates import Estimate, ratio

Item = TypeVar("Item")


@dataclass(frozen=True)
class Pace:
    """Items per second in batches, with its interval over batches, and milliseconds of one item alone."""

    per_second: Estimate
    median_ms: float
    p95_ms: float


def pace(encode: Callable[[list[Item]], object], items: Sequence[Item], batch: int = 32) -> Pace:
    """Encode all `items` in batches, then up to 50 of them alone; the first batch warms up and is not timed.

    Raises ValueError for fewer than two batches.
    """
    batches = [list(items[start : start + batch]) for start in range(0, len(items), batch)]
    if len(batches) < 2:
        raise ValueError(f"{len(items)} items are less than two batches of {batch}")
    encode(batches[0])
    seconds = [_seconds(encode, group) for group in batches[1:]]
    alone = [1000 * _seconds(encode, [item]) for item in items[:50]]
    per_second = ratio([len(group) for group in batches[1:]], seconds)
    assert per_second is not None
    return Pace(per_second, float(np.median(alone)), float(np.quantile(alone, 0.95)))


def _seconds(encode: Callable[[list[Item]], object], group: list[Item]) -> float:
    start = time.perf_counter()
    encode(group)
    return time.perf_counter() - start


def size_bytes(place: Path) -> int:
    """Bytes of a file, or of all files below a folder."""
    return place.stat().st_size if place.is_file() else sum(f.stat().st_size for f in place.rglob("*") if f.is_file())
