"""What an evaluation found, as one HTML page that needs nothing else, and as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from pipelines.evaluation.measure import Absent, Figure, Measured, Topic
from pipelines.evaluation.plots import drawn

_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }}
h1 {{ font-size: 1.5rem; margin-bottom: .2rem; }}
h2 {{ font-size: 1.15rem; margin: 2.2rem 0 .3rem; border-top: 1px solid #ddd; padding-top: 1rem; }}
p {{ max-width: 48rem; margin: .3rem 0 .8rem; }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .92rem; }}
th, td {{ text-align: left; padding: .15rem .9rem .15rem 0; vertical-align: top; }}
th {{ border-bottom: 1px solid #999; font-weight: 600; }}
td {{ overflow-wrap: anywhere; }}
.absent {{ color: #777; }}
svg {{ max-width: 100%; height: auto; margin: .6rem 0; }}
details summary {{ cursor: pointer; color: #555; }}
</style></head><body>
<h1>{title}</h1>
{facts}
{overview}
{sections}
</body></html>
"""


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
            else {"figures": [_values(figure) for figure in outcome.figures]}
            for measure, outcome in self.found
        }
        return json.dumps({"facts": dict(self.facts), "measures": measures}, indent=2, ensure_ascii=False) + "\n"

    def to_html(self) -> str:
        """One page: facts, an overview, then each measure with plot and table."""
        return _PAGE.format(
            title=escape(self.title),
            facts=_table(("", ""), [(name, value) for name, value in self.facts.items()]),
            overview=_overview(self.found),
            sections="\n".join(_section(measure, outcome) for measure, outcome in self.found),
        )


def _values(figure: Figure) -> dict[str, object]:
    return {"part": figure.part, "quantity": figure.quantity, **vars(figure.estimate), "chance": figure.chance}


def _overview(found: Sequence[tuple[Topic, Measured | Absent]]) -> str:
    absent = [(measure.title, outcome.reason) for measure, outcome in found if isinstance(outcome, Absent)]
    taken = len(found) - len(absent)
    said = f"<p>{taken} of {len(found)} measures taken. Intervals are 95%.</p>"
    if not absent:
        return said
    return said + '<div class="absent">' + _table(("absent", "why"), absent) + "</div>"


def _section(measure: Topic, outcome: Measured | Absent) -> str:
    head = f'<h2 id="{escape(measure.name)}">{escape(measure.title)}</h2><p>{escape(measure.explanation)}</p>'
    if isinstance(outcome, Absent):
        return head + f'<p class="absent">Absent: {escape(outcome.reason)}.</p>'
    rows = [
        (
            figure.part,
            figure.quantity,
            f"{figure.estimate.value:.3f}",
            f"{figure.estimate.low:.3f}\u2013{figure.estimate.high:.3f}",
            f"{figure.estimate.count:,}",
            "" if figure.chance is None else f"{figure.chance:.3f}",
        )
        for figure in outcome.figures
    ]
    table = _table(("part", "quantity", "value", "95% interval", "n", "chance"), rows)
    return f"{head}{drawn(outcome.plot)}<details><summary>figures</summary>{table}</details>"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in header) if any(header) else ""
    body = "".join("<tr>" + "".join(f"<td>{escape(value)}</td>" for value in row) + "</tr>" for row in rows)
    return f"<table>{f'<tr>{head}</tr>' if head else ''}{body}</table>"
