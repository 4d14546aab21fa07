"""A comparison in a terminal."""

from __future__ import annotations

from rich.console import Group
from rich.table import Table
from rich.text import Text

from pipelines.releases.compare.compare import Comparison
from pipelines.releases.compare.report import CALLS, names_of


def render_comparison(comparison: Comparison) -> Group:
    """The sentence, a row a task, then drift, stability and pace."""
    first, second = names_of(comparison)
    tasks = Table("task", "quantity", first, second, "difference", "p", "n", second)
    for o in comparison.outcomes:
        difference = f"{o.difference.value:+.3f} [{o.difference.low:+.3f}, {o.difference.high:+.3f}]"
        called = CALLS[comparison.verdict.calls[o.task.name]]
        values = (f"{o.before.value:.3f}", f"{o.after.value:.3f}", difference, f"{o.p:.4f}", f"{o.before.count:,}")
        tasks.add_row(o.task.name, o.scores.quantity, *values, called)
    spaces = Table("between the spaces", "", "value")
    for figure in (*comparison.drift, *comparison.stability):
        spaces.add_row(figure.part, figure.quantity, str(figure.estimate))
    for name in sorted(comparison.paces[0].keys() & comparison.paces[1].keys()):
        both = " and ".join(f"{paces[name].value:,.0f}" for paces in comparison.paces)
        spaces.add_row(name, "per second, first and second", both)
    lacking = [Text(f"{task.name}: {reason}") for task, reason in comparison.lacking]
    return Group(tasks, spaces, *lacking, Text(comparison.verdict.sentence, style="bold"))
