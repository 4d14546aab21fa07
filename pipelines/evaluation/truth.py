"""A sample shop's truth, as `mmfs sample-shop` wrote it beside the drop."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipelines.errors import TruthError

_FACTS = "truth.json"


@dataclass(frozen=True)
class Truth:
    """Reads the truth's tables on demand. Ids are the shop's own."""

    folder: Path

    def __post_init__(self) -> None:
        if not (self.folder / _FACTS).is_file():
            raise TruthError(f"{self.folder} holds no {_FACTS}; give the folder that `mmfs sample-shop` named as truth")

    @cached_property
    def facts(self) -> dict[str, Any]:
        """How the shop was drawn: seed, users, days, mix, end, axes."""
        try:
            found: dict[str, Any] = json.loads((self.folder / _FACTS).read_text(encoding="utf-8"))
        except ValueError as error:
            raise TruthError(f"{self.folder / _FACTS} is damaged ({error}); draw the shop again") from error
        return found

    @property
    def end(self) -> datetime:
        """The first instant after the simulated period, UTC."""
        return datetime.fromisoformat(self.facts["end"])

    def table(self, name: str) -> pa.Table:
        """A whole table of the truth."""
        try:
            return pq.read_table(self.folder / f"{name}.parquet")
        except FileNotFoundError as error:
            raise TruthError(f"{self.folder} has no table {name}; draw the shop again") from error

    def rows(self, name: str, **where: object) -> list[dict[str, Any]]:
        """Rows of a table in which each named column has the given value."""
        table = self.table(name)
        for column, value in where.items():
            table = table.filter(pc.equal(table[column], pa.scalar(value)))
        rows: list[dict[str, Any]] = table.to_pylist()
        return rows

    def at(self, name: str, key: str, moment: datetime, **where: object) -> dict[str, dict[str, Any]]:
        """The version of each key that holds at a moment, by key; tables with `valid_from` only."""
        valid: dict[str, dict[str, Any]] = {}
        for row in sorted(self.rows(name, **where), key=lambda row: row["valid_from"]):
            if row["valid_from"] <= moment:
                valid[row[key]] = row
        return valid
