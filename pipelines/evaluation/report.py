"""What an evaluation found, as one HTML page that needs nothing else, and as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from pipelines.evaluation.measure import Absent, Figure, Measured, Topic
from pipelines.evaluation.plots import drawn
from pipelines.html import html_page, html_table


@dataclass(frozen=True)
class Evaluation:
    """Each topic with what was found; `facts` say of what, when and with which encoders."""

    facts: Mapping[str, str]
    found: Sequence[tuple[Topic, Measured | Absent]]
    title: str = "What the features hold of the planted truth"

    def to_json(self) -> str:
        """Figures and reasons by measure."""
        measures = {
            measure.name: {"absent": outcome.reason}
            if isinstance(outcome, Absent)
            else {"figures": [figure_values(figure) for figure in outcome.figures]}
            for measure, outcome in self.found
        }
        return json.dumps({"facts": dict(self.facts), "measures": measures}, indent=2, ensure_ascii=False) + "\n"

    def to_html(self) -> str:
        """One page: facts, an overview, then each measure with plot and table."""
        facts = html_table(("", ""), [(name, value) for name, value in self.facts.items()])
        sections = [_section(measure, outcome) for measure, outcome in self.found]
        return html_page(self.title, facts, _overview(self.found), *sections)


def figure_values(figure: Figure) -> dict[str, object]:
    """A figure as JSON has it."""
    return {"part": figure.part, "quantity": figure.quantity, **vars(figure.estimate), "chance": figure.chance}


def _overview(found: Sequence[tuple[Topic, Measured | Absent]]) -> str:
    absent = [(measure.title, outcome.reason) for measure, outcome in found if isinstance(outcome, Absent)]
    taken = len(found) - len(absent)
    said = f"<p>{taken} of {len(found)} measures taken. Intervals are 95%.</p>"
    if not absent:
        return said
    return said + '<div class="absent">' + html_table(("absent", "why"), absent) + "</div>"


def _section(measure: Topic, outcome: Measured | Absent) -> str:
    head = f'<h2 id="{escape(measure.name)}">{escape(measure.title)}</h2><p>{escape(measure.explanation)}</p>'
    if isinstance(outcome, Absent):
        return head + f'<p class="absent">Absent: {escape(outcome.reason)}.</p>'
    table = figure_table(outcome.figures)
    return f"{head}{drawn(outcome.plot)}<details><summary>figures</summary>{table}</details>"


def figure_table(found: Sequence[Figure]) -> str:
    """Figures with their intervals, as markup."""
    rows = [
        (
            figure.part,
            figure.quantity,
            f"{figure.estimate.value:.3f}",
            f"{figure.estimate.low:.3f}\u2013{figure.estimate.high:.3f}",
            f"{figure.estimate.count:,}",
            "" if figure.chance is None else f"{figure.chance:.3f}",
        )
        for figure in found
    ]
    return html_table(("part", "quantity", "value", "95% interval", "n", "chance"), rows)
