"""An evaluation in a terminal."""

from __future__ import annotations

from rich.console import Group
from rich.table import Table
from rich.text import Text

from pipelines.evaluation.measure import Absent, Measured
from pipelines.evaluation.report import Evaluation


def render_evaluation(evaluation: Evaluation) -> Group:
    """One row a figure; below them what is absent, and why."""
    table = Table("measure", "part", "quantity", "value", "95%", "n", "chance")
    absent: list[Text] = []
    for measure, outcome in evaluation.found:
        if isinstance(outcome, Absent):
            absent.append(Text(f"absent: {measure.title}: {outcome.reason}"))
        else:
            _add_rows(table, measure.name, outcome)
    return Group(table, *absent)


def _add_rows(table: Table, name: str, measured: Measured) -> None:
    last = len(measured.figures) - 1
    for place, figure in enumerate(measured.figures):
        estimate = figure.estimate
        table.add_row(
            "" if place else name,
            figure.part,
            figure.quantity,
            f"{estimate.value:.3f}",
            f"{estimate.low:.3f}–{estimate.high:.3f}",
            f"{estimate.count:,}",
            "" if figure.chance is None else f"{figure.chance:.3f}",
            end_section=place == last,
        )
