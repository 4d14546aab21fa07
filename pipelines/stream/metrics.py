"""A stream's figures for Prometheus's textfile collector."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, write_to_textfile

_COUNTED = ("rows", "kept", "duplicates", "quarantined", "unreadable_files", "rows_online", "queries_encoded")
_STANDING = ("lag_seconds", "seconds", "online_seconds", "queries_waiting", "interests_waiting", "events_ahead")


class StreamMetrics:
    """Counters since the start and figures of the newest micro-batch; without a file it keeps nothing."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._registry = CollectorRegistry()
        self._counters = {n: Counter(f"mmfs_stream_{n}", "Since the start.", registry=self._registry) for n in _COUNTED}
        self._gauges = {
            n: Gauge(f"mmfs_stream_{n}", "Of the newest micro-batch.", registry=self._registry) for n in _STANDING
        }
        self._waiting = Gauge("mmfs_stream_online_store_down", "1 while it does not answer.", registry=self._registry)

    def take(self, figures: dict[str, Any]) -> None:
        """Take a micro-batch's figures in, and write all of them."""
        self._waiting.set("waiting" in figures)
        for name, counter in self._counters.items():
            counter.inc(figures.get(name, 0))
        for name, gauge in self._gauges.items():
            if name in figures:
                gauge.set(figures[name])
        if self._file is not None:
            write_to_textfile(str(self._file), self._registry)
