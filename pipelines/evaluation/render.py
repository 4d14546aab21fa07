"""An evaluation, and a calibration, in a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text

from pipelines.evaluation.measure import Absent, Measured
from pipelines.evaluation.report import Evaluation

if TYPE_CHECKING:
    from pipelines.evaluation.tag_calibration import Calibrated


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


def render_calibration(found: Sequence[Calibrated]) -> Table:
    """How well each tag's confidence fits, each half of the users judged by the other's curve."""
    table = Table(title="calibration, cross-fitted by user", title_justify="left")
    table.add_column("tag", no_wrap=True)
    for column in ("positives", "judged", "AUC", "calibration error", "precision", "recall"):
        table.add_column(column, justify="right")
    for one in found:
        figures = (one.ranking, one.calibration_error, one.precision, one.recall)
        counts = (f"{one.curve.positives:,}", f"{one.curve.judged:,}")
        table.add_row(one.tag, *counts, *(f"{figure:.3f}" for figure in figures))
    return table
