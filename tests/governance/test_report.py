"""What a run's report shows."""

from __future__ import annotations

from datetime import UTC, datetime
from io import StringIO

from rich.console import Console

from pipelines.governance.report import render_report
from pipelines.governance.runs import Run, StepReport
from pipelines.settings import load_settings


def test_what_was_not_measured_is_left_empty_and_a_column_without_content_out() -> None:
    ingest, encode = StepReport("ingest"), StepReport("encode")
    for subject, measure, value in (("events", "rows_in", 1200), ("events", "failed", 0), ("media", "failed", 3)):
        ingest.add(subject, measure, value)
    encode.add(None, "warnings", 2, "slow")
    page = StringIO()
    run = Run(load_settings(home="unused"), datetime(2026, 7, 1, tzinfo=UTC), "r1")
    Console(file=page, width=100).print(render_report(run, [ingest, encode]))
    cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in page.getvalue().splitlines()]
    assert ["events", "1,200", "0"] in cells
    assert ["media", "", "3"] in cells
    assert ["warnings", "slow", "2"] in cells
