"""A run and what it reports. Plain Python, no Spark."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from pipelines.settings import Settings


@dataclass(frozen=True)
class Run:
    """One run: its settings, its time and its id.

    `as_of` (aware, UTC) is the run's time: `created_at` of what it writes, the bound of expiries and materialisation.
    """

    settings: Settings
    as_of: datetime
    run_id: str

    def __post_init__(self) -> None:
        if self.as_of.tzinfo is None or self.as_of.utcoffset() != UTC.utcoffset(None):
            raise ValueError(f"as_of must be an aware UTC datetime, not {self.as_of!r}")


@dataclass(frozen=True)
class Figure:
    """One number of a report: what it is about, what was measured, and why where that matters."""

    subject: str | None
    measure: str
    value: float
    reason: str | None = None


@dataclass
class StepReport:
    """What one step of a run did."""

    step: str
    figures: list[Figure] = field(default_factory=list)

    def add(self, subject: str | None, measure: str, value: float, reason: str | None = None) -> None:
        self.figures.append(Figure(subject, measure, float(value), reason))

    def total(self, measure: str, subject: str | None = None) -> float:
        """Sum of a measure over all reasons, of one subject or of all."""
        return sum(f.value for f in self.figures if f.measure == measure and subject in (None, f.subject))


@contextmanager
def timed_step(step: str) -> Iterator[StepReport]:
    """A report that ends with the step's wall-clock seconds."""
    report = StepReport(step)
    started = time.perf_counter()
    yield report
    report.add(None, "seconds", time.perf_counter() - started)
