"""A run's report: kept as a Delta table, shown as rich tables."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table as RichTable
from rich.text import Text

from pipelines.frames import frame_of
from pipelines.governance.runs import Figure, Run, StepReport
from pipelines.tables.governance import RUN_REPORT

if TYPE_CHECKING:
    from pipelines.delta import TableStore

# Measures that get a column of their own, in this order; others are listed as notes.
_COLUMNS = ("rows_in", "kept", "duplicates", "quarantined", "encoded", "from_cache", "failed", "rows_written")
_SECONDS = "seconds"


def store_report(store: TableStore, run: Run, reports: list[StepReport]) -> None:
    """Append the run's figures to the report table; storing the same run again changes nothing."""
    now = datetime.now(UTC)
    rows = [
        (run.run_id, run.as_of, report.step, f.subject, f.measure, f.reason, f.value, now)
        for report in reports
        for f in report.figures
    ]
    store.append_once(frame_of(store.spark, rows, RUN_REPORT.ddl), RUN_REPORT, run.run_id)


def render_report(run: Run, reports: list[StepReport]) -> Group:
    """The run's name; one table a step, subjects down, measures across, and why rows were left out; the times."""
    parts: list[RichTable | Text] = [Text(f"run {run.run_id}, as of {run.as_of:%Y-%m-%d %H:%M:%S} UTC")]
    for report in reports:
        for table in (_counts(report), _reasons(report)):
            if table.row_count:
                parts.append(table)
    parts.append(_times(reports))
    return Group(*parts)


def _counts(report: StepReport) -> RichTable:
    measures = [m for m in _COLUMNS if any(f.measure == m for f in report.figures)]
    table = RichTable(title=report.step, title_justify="left", title_style="bold")
    table.add_column("")
    for measure in measures:
        table.add_column(measure.replace("_", " "), justify="right")
    subjects = dict.fromkeys(f.subject for f in report.figures if f.subject and f.measure in measures)
    for subject in subjects:
        measured = {f.measure for f in report.figures if f.subject == subject}
        table.add_row(subject, *(f"{report.total(m, subject):,.0f}" if m in measured else "" for m in measures))
    return table


def _reasons(report: StepReport) -> RichTable:
    table = RichTable(title=f"{report.step}: in detail", title_justify="left", title_style="bold")
    noted = [f for f in report.figures if f.reason or (f.measure not in _COLUMNS and f.measure != _SECONDS)]
    noted = sorted((f for f in noted if f.value), key=lambda f: (f.measure, f.subject or "", -f.value))
    columns = {
        "": [f.subject or "" for f in noted],
        "measure": [f.measure for f in noted],
        "reason": [f.reason or "" for f in noted],
    }
    filled = {heading: texts for heading, texts in columns.items() if any(texts)}
    for heading in filled:
        table.add_column(heading)
    table.add_column("rows", justify="right")
    for *texts, value in zip(*filled.values(), [f"{f.value:,.0f}" for f in noted], strict=True):
        table.add_row(*texts, value)
    return table


def _times(reports: list[StepReport]) -> RichTable:
    table = RichTable("step")
    table.add_column("seconds", justify="right")
    total = 0.0
    for report in reports:
        seconds = sum(_step_seconds(report))
        total += seconds
        table.add_row(report.step, f"{seconds:,.1f}")
    table.add_row("all", f"{total:,.1f}", style="bold")
    return table


def _step_seconds(report: StepReport) -> list[float]:
    return [f.value for f in report.figures if _is_step_time(f)]


def _is_step_time(figure: Figure) -> bool:
    return figure.measure == _SECONDS and figure.subject is None
