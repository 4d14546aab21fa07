"""A truth and a home, both small and made by hand, without Spark."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.evaluation.measure import Absent, Evidence, Measure, Measured
from pipelines.evaluation.truth import Truth
from pipelines.governance.home import open_home
from pipelines.point_in_time.published import Published
from pipelines.releases.pin import write_pin
from pipelines.sample_shop.truth import SCHEMAS
from pipelines.settings import Settings
from pipelines.tables.arrow_types import arrow_schema
from pipelines.tables.schema import Table
from tests.hand_made_home import tiny_release
from tests.point_in_time.delta_by_hand import commit

END = datetime(2026, 7, 1, tzinfo=UTC)
START = END - timedelta(days=30)
RELEASE = tiny_release("r1")
PERSONAL = {"purpose": "personalisation"}


class Planted:
    """A truth folder and a home; tables that are not written are empty in the truth and missing in the home."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "shop-truth"
        self.folder.mkdir()
        self.settings = Settings(home=str(folder / "home"))
        open_home(self.settings, create=True)
        write_pin(self.settings, [RELEASE], "r1")
        facts = {"seed": 1, "users": 2, "days": 30, "mix": "city", "end": END.isoformat()}
        (self.folder / "truth.json").write_text(json.dumps(facts))
        for name in SCHEMAS:
            self.true(name)

    def true(self, table: str, *rows: Mapping[str, Any]) -> None:
        schema = SCHEMAS[table]
        whole = [dict.fromkeys(schema.names) | dict(row) for row in rows]
        pq.write_table(pa.Table.from_pylist(whole, schema=schema), self.folder / f"{table}.parquet")

    def publish(
        self, table: Table, rows: Sequence[Mapping[str, Any]], partition: Mapping[str, str] | None = None
    ) -> None:
        """Write a table with the columns that the rows have, in one partition."""
        declared = arrow_schema(table)
        schema = pa.schema([declared.field(name) for name in rows[0]])
        location = Path(table.location(self.settings.under_home()))
        commit(location, pa.Table.from_pylist([dict(row) for row in rows], schema=schema), partition=partition)

    def history(self, table: Table, rows: Sequence[Mapping[str, Any]], **partition: str) -> None:
        """Rows of a feature history, true and known at the end unless they say otherwise."""
        encoder = {}
        if table.depends_on:
            name, version = RELEASE.encoder_for(table.depends_on)
            encoder = {"encoder": name, "encoder_version": version}
        times = {"event_timestamp": END, "created_at": END}
        self.publish(table, [times | dict(row) for row in rows], {**partition, **encoder})

    @property
    def evidence(self) -> Evidence:
        return Evidence(Truth(self.folder), Published(self.settings, RELEASE, END))

    def values(self, measure: Measure) -> dict[tuple[str, str], float]:
        """The measure's figures by part and quantity."""
        outcome = measure.take(self.evidence)
        assert isinstance(outcome, Measured), outcome
        return {(figure.part, figure.quantity): figure.estimate.value for figure in outcome.figures}

    def reason(self, measure: Measure) -> str:
        outcome = measure.take(self.evidence)
        assert isinstance(outcome, Absent)
        return outcome.reason
