"""A rolling backtest: cuts in time, each followed by the window in which its labels lie."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from pipelines.errors import ConsumerError


class Fold(NamedTuple):
    """What is learned from, and the cut it is tried on."""

    train: tuple[datetime, ...]
    test: datetime


@dataclass(frozen=True)
class Backtest:
    """Cuts (00:00 UTC, ascending) whose label windows [cut, cut + horizon) lie within the behaviour known."""

    cuts: tuple[datetime, ...]
    horizon: timedelta
    tests: int  # at most so many of the last cuts are tried
    lessons: int  # and of those before, at most so many of the newest are learned from

    def folds(self) -> Iterator[Fold]:
        """Each tested cut with the newest cuts whose labels were all known by then."""
        for test in self.cuts[-self.tests :]:
            train = tuple(cut for cut in self.cuts if cut + self.horizon <= test)
            if train:
                yield Fold(train[-self.lessons :], test)

    @property
    def used(self) -> tuple[datetime, ...]:
        """The cuts that are learned from or tried, ascending."""
        return tuple(sorted({cut for fold in self.folds() for cut in (*fold.train, fold.test)}))


@dataclass(frozen=True)
class Plan:
    """How cuts are laid, in days: labels' horizon, distance of cuts, behaviour before the first.

    At most `tests` cuts are tried, each after at most `lessons` to learn from.
    """

    horizon_days: int
    step_days: int
    warm_up_days: int
    tests: int = 4
    lessons: int = 12

    def cuts(self, start: datetime, end: datetime) -> Backtest:
        """The backtest of behaviour from `start` to `end` (aware); the last label window ends by the last midnight.

        Raises ConsumerError where the time does not suffice for one cut to learn from and one to try.
        """
        horizon, step = timedelta(days=self.horizon_days), timedelta(days=self.step_days)
        cut = end.replace(hour=0, minute=0, second=0, microsecond=0) - horizon
        cuts = []
        while cut >= start + timedelta(days=self.warm_up_days):
            cuts.append(cut)
            cut -= step
        found = Backtest(tuple(reversed(cuts)), horizon, max(1, min(self.tests, len(cuts) // 2)), self.lessons)
        if not any(True for _ in found.folds()):
            raise ConsumerError(
                f"the home's behaviour spans {(end - start).days} days; labels of {self.horizon_days} days after "
                f"{self.warm_up_days} days of behaviour leave no cut to learn from before one to try. "
                "Shorten the horizon, or bring more history in"
            )
        return found
