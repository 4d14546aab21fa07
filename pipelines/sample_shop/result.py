"""What the sample shop reports, and how it fails."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path


class SampleShopError(Exception):
    """The sample shop cannot be written; the message is one line that says why."""


@dataclass(frozen=True)
class SampleShopSummary:
    """What was written.

    Attributes:
        path: the drop.
        truth: what is true of it, for evaluations only.
        rows: rows per table, dirt included (a row that cannot be parsed counts as one).
        media: number of pictures ("images") and films ("videos"), the spoilt ones included.
        dirt: number of each kind of dirt.
        end: the first instant after the simulated period (UTC); all clean rows are before it.
    """

    path: Path
    truth: Path
    rows: dict[str, int]
    media: dict[str, int]
    dirt: dict[str, int]
    end: datetime

    def __str__(self) -> str:
        tables = ", ".join(f"{rows:,} {table}" for table, rows in self.rows.items())
        media = ", ".join(f"{count:,} {kind}" for kind, count in self.media.items())
        oddities = sum(self.dirt.values())
        until = f"up to {self.end:%Y-%m-%dT%H:%M:%SZ}"
        return f"{self.path}: {tables}; {media}; {until}; {oddities:,} oddities; truth in {self.truth}"
