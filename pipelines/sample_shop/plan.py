"""What is to be drawn, and where it goes."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from .period import Period
from .personas import MIXES
from .result import SampleShopError


@dataclass(frozen=True)
class Plan:
    """See `write_sample_shop`."""

    out: Path
    truth: Path
    users: int
    days: int
    seed: int
    mix: str
    end: date

    def check(self) -> None:
        """Raises SampleShopError where it cannot be done."""
        for name, value, least in (("users", self.users, 1), ("days", self.days, 1), ("seed", self.seed, 0)):
            if value < least:
                raise SampleShopError(f"{name} must be at least {least}, found {value}")
        if self.mix not in MIXES:
            raise SampleShopError(f"there is no mix {self.mix!r}; there are: {', '.join(MIXES)}")
        for folder in (self.out, self.truth):
            if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
                raise SampleShopError(f"{folder} exists and is not an empty folder; give a new folder or remove it")
        out, truth = self.out.resolve(), self.truth.resolve()
        if out == truth or out in truth.parents or truth in out.parents:
            raise SampleShopError(f"the truth ({truth}) and the drop ({out}) must not lie in each other")

    @property
    def end_at(self) -> datetime:
        """The first instant after the last day, UTC."""
        return datetime(self.end.year, self.end.month, self.end.day, tzinfo=UTC) + timedelta(days=1)

    @property
    def period(self) -> Period:
        start = self.end_at - timedelta(days=self.days)
        return Period(round(start.timestamp()) * 1_000_000, self.days, start.weekday())
