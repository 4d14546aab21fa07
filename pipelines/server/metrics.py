"""What Prometheus is told: requests by route and code, their times, ids asked for, features by status."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from pipelines.online.blocks import STATUS_NAMES
from pipelines.online.reader import Answer

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)


class _OursOfAllProcesses(Collector):
    """Our metrics of all workers. Feast counts into the same folder requests that it never sees: always none."""

    def __init__(self, shared: Path) -> None:
        self._all = MultiProcessCollector(CollectorRegistry(), path=str(shared))

    def collect(self) -> Iterator[Metric]:
        return (metric for metric in self._all.collect() if metric.name.startswith("mmfs_"))


class Metrics:
    """Of one worker, or of all workers that share a folder."""

    def __init__(self, shared: Path | None) -> None:
        """With `shared` the environment's PROMETHEUS_MULTIPROC_DIR has to name the same folder since the start."""
        registry = CollectorRegistry()
        self._requests = Counter("mmfs_requests", "Requests.", ["route", "status", "code"], registry=registry)
        self._seconds = Histogram(
            "mmfs_request_seconds", "Time to answer.", ["route"], buckets=_SECONDS, registry=registry
        )
        self._ids = Counter("mmfs_ids", "Ids asked for.", ["service"], registry=registry)
        self._features = Counter("mmfs_features", "Features answered.", ["service", "status"], registry=registry)
        self._logged = Counter(
            "mmfs_logged_ids", "Ids of answers that were to be logged.", ["outcome"], registry=registry
        )
        self.in_flight = Gauge(
            "mmfs_requests_in_flight",
            "Requests being answered in threads.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self._registry = registry
        self._shared = shared

    def request(self, route: str, status: int, code: str, seconds: float) -> None:
        self._requests.labels(route, str(status), code).inc()
        self._seconds.labels(route).observe(seconds)

    def answer(self, answer: Answer) -> None:
        """Count what an answer tells."""
        service = answer.plan.service or "features"
        self._ids.labels(service).inc(len(answer.ids))
        told = sum(np.bincount(block.statuses.reshape(-1), minlength=len(STATUS_NAMES)) for block in answer.blocks)
        for status, count in zip(STATUS_NAMES, np.atleast_1d(told).tolist(), strict=True):
            if count:
                self._features.labels(service, status).inc(count)

    def logged(self, outcome: str, ids: int) -> None:
        """Count ids of answers chosen for the log: "written", or dropped as "queue_full" or "not_written"."""
        self._logged.labels(outcome).inc(ids)

    def exposition(self) -> bytes:
        """Prometheus's text format."""
        if self._shared is None:
            return generate_latest(self._registry)
        together = CollectorRegistry()
        together.register(_OursOfAllProcesses(self._shared))
        return generate_latest(together)
