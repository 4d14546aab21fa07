"""A comparison as one HTML page that needs nothing else, and as JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from pipelines.evaluation.measure import Figure
from pipelines.evaluation.plots import Pair, bars, drawn, grouped_points, paired_bars
from pipelines.evaluation.report import figure_table, figure_values
from pipelines.html import html_page, html_table
from pipelines.releases.compare.compare import Comparison
from pipelines.releases.compare.gallery import galleries
from pipelines.releases.compare.shop import text_hash
from pipelines.releases.compare.spaces import core_hours_per_million, turned_onto, two_axes
from pipelines.releases.compare.task import Outcome

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Plot = Callable[["Axes"], None]
CALLS = {"better": "better", "worse": "worse", "equal": "as good", "open": "not told apart"}


def names_of(comparison: Comparison) -> tuple[str, str]:
    """The encoders' keys, first and second."""
    before, after = (space.spec.key for space in comparison.spaces)
    return before, after


def to_html(comparison: Comparison) -> str:
    """The verdict, then what it rests on, then what to look at."""
    names = names_of(comparison)
    return html_page(
        f"{names[1]} beside {names[0]}",
        _verdict(comparison.verdict.sentence),
        html_table(("", names[0], names[1]), _facts(comparison)),
        _tasks(comparison),
        _slices(comparison),
        _spaces(comparison),
        _bridge(comparison),
        _costs(comparison),
        _maps(comparison),
        galleries(comparison.outcomes, names, comparison.case.shop.places),
    )


def _verdict(sentence: str) -> str:
    """In large letters, the figures in it in small ones."""
    said = re.sub(r"(\([^()]*\))", r'<small class="figures">\1</small>', escape(sentence))
    return f'<p class="verdict">{said}</p>'


def to_json(comparison: Comparison) -> str:
    """Verdict, values with intervals, differences with p, slices, drift, stability and pace."""
    tasks = {
        outcome.task.name: {
            "unit": outcome.scores.unit,
            "quantity": outcome.scores.quantity,
            "before": asdict(outcome.before),
            "after": asdict(outcome.after),
            "chance": outcome.scores.chance,
            "difference": asdict(outcome.difference),
            "p_corrected": outcome.p,
            "call": comparison.verdict.calls[outcome.task.name],
        }
        for outcome in comparison.outcomes
    }
    values = {
        "home": comparison.home,
        "encoders": [json.loads(space.spec.to_json()) for space in comparison.spaces],
        "verdict": comparison.verdict.overall,
        "sentence": comparison.verdict.sentence,
        "margin": comparison.margin,
        "tasks": tasks,
        "lacking": {task.name: reason for task, reason in comparison.lacking},
        "slices": [asdict(found) for found in comparison.slices],
        "drift": [figure_values(figure) for figure in comparison.drift],
        "stability": [figure_values(figure) for figure in comparison.stability],
        "bridge": [figure_values(figure) for figure in comparison.bridge],
        "per_second": [{name: asdict(pace) for name, pace in paces.items()} for paces in comparison.paces],
    }
    return json.dumps(values, indent=2, ensure_ascii=False) + "\n"


def plots(comparison: Comparison) -> dict[str, Plot]:
    """By name: the tasks' bars, drift and stability, and a map of either space."""
    pairs = [
        Pair(f"{o.task.title}\n({o.scores.quantity})", o.before, o.after, o.scores.chance) for o in comparison.outcomes
    ]
    found = {"tasks": paired_bars(pairs, names_of(comparison)), "spaces": bars(_between(comparison))}
    return found | dict(zip(("map_first", "map_second"), _map_plots(comparison), strict=True))


def _between(comparison: Comparison) -> list[Figure]:
    return [*comparison.drift, *comparison.stability]


def _facts(comparison: Comparison) -> list[tuple[str, str, str]]:
    values = [
        (s.spec.uri, str(s.spec.dimensions), s.spec.checksum[:19], f"{s.reused:,}", f"{s.encoded:,}", f"{s.failed:,}")
        for s in comparison.spaces
    ]
    labels = ("from", "dimensions", "weights", "vectors the home had", "encoded now", "contents without a vector")
    return [(label, values[0][place], values[1][place]) for place, label in enumerate(labels)]


def _tasks(comparison: Comparison) -> str:
    rows = [
        (
            o.task.title,
            o.scores.quantity,
            f"{o.before.value:.3f}",
            f"{o.after.value:.3f}",
            f"{o.difference.value:+.3f} [{o.difference.low:+.3f}, {o.difference.high:+.3f}]",
            f"{o.p:.4f}",
            f"{o.before.count:,} {o.scores.unit}",
            CALLS[comparison.verdict.calls[o.task.name]],
        )
        for o in comparison.outcomes
    ]
    first, second = names_of(comparison)
    header = ("task", "quantity", first, second, "difference, 95%", "p", "of", f"{second} is")
    explained = "".join(
        f"<li><b>{escape(o.task.title)}.</b> {escape(o.task.explanation)}</li>" for o in comparison.outcomes
    )
    lacking = "".join(
        f'<p class="absent">{escape(task.title)}: {escape(reason)}.</p>' for task, reason in comparison.lacking
    )
    return (
        f"<h2>Tasks</h2>{drawn(plots(comparison)['tasks'])}{html_table(header, rows)}{lacking}"
        f"<p>Differences are paired; intervals are the bootstrap's over units, p is the sign-flip test's, corrected "
        f"for the number of tasks (Holm). “As good”: the whole interval lies within {comparison.margin:g}.</p>"
        f"<details><summary>what the tasks are</summary><ul>{explained}</ul></details>{_more(comparison.outcomes)}"
    )


def _more(outcomes: Sequence[Outcome]) -> str:
    rows = [
        (outcome.task.title, name, f"{np.mean(before):.3f}", f"{np.mean(after):.3f}")
        for outcome in outcomes
        for name, (before, after) in outcome.scores.more.items()
    ]
    table = html_table(("task", "quantity", "first", "second"), rows)
    return f"<details><summary>further quantities</summary>{table}</details>" if rows else ""


def _slices(comparison: Comparison) -> str:
    titles = {outcome.task.name: outcome.task.title for outcome in comparison.outcomes}
    rows = [
        (
            titles[s.task],
            s.grouping,
            s.group,
            f"{s.before.value:.3f}",
            f"{s.after.value:.3f}",
            f"{s.difference.value:+.3f} [{s.difference.low:+.3f}, {s.difference.high:+.3f}]",
            f"{s.before.count:,}",
        )
        for s in comparison.slices
    ]
    table = html_table(("task", "by", "group", "first", "second", "difference, 95%", "n"), rows)
    said = "<p>Single groups are not corrected for their number: take them as hints.</p>"
    return f"<h2>By category, language and kind of user</h2>{said}<details><summary>groups</summary>{table}</details>"


def _spaces(comparison: Comparison) -> str:
    return (
        "<h2>How far the spaces lie apart</h2><p>The cosine of a content's two vectors says whether one encoder's "
        "vectors may meet the other's (never mix them where it is low); after the best orthogonal map, what remains is "
        "not a mere turn. Kept neighbours: how far users' and products' surroundings stay as they are.</p>"
        f"{drawn(plots(comparison)['spaces'])}{figure_table(_between(comparison))}"
    )


def _bridge(comparison: Comparison) -> str:
    if not comparison.bridge:
        return ""
    said = (
        "What is found while the catalogue still has the first encoder's vectors: queries by the second, as they are "
        "or mapped into the first one's space. Maps are fitted on one half of the products and tried on the other. "
        "Nothing uses a map by itself: <code>mmfs encoders bridge</code> writes one."
    )
    return f"<h2>A bridge until the backfill ends</h2><p>{said}</p>{figure_table(comparison.bridge)}"


def _costs(comparison: Comparison) -> str:
    rows = []
    for name in sorted(comparison.paces[0].keys() & comparison.paces[1].keys()):
        for key, paces in zip(names_of(comparison), comparison.paces, strict=True):
            pace = paces[name]
            hours = core_hours_per_million(pace.value, comparison.cores)
            price = comparison.core_hour_price
            cost = "" if price is None else f"{hours * price:,.2f}"
            rows.append((name, key, f"{pace.value:,.0f} [{pace.low:,.0f}, {pace.high:,.0f}]", f"{hours:,.2f}", cost))
    header = ("modality", "encoder", "per second, 95%", "core hours per million", "cost per million")
    said = f"On {comparison.cores} cores, reading and decoding included, loading the model left out."
    return f"<h2>Pace and cost</h2><p>{said}</p>{html_table(header, rows)}"


def _maps(comparison: Comparison) -> str:
    found = "".join(f"<div>{drawn(plot)}</div>" for plot in _map_plots(comparison))
    said = "Products on the two axes along which they differ most; the second is turned onto the first."
    return f'<h2>A map of either space</h2><p>{said}</p><div class="beside">{found}</div>'


def _map_plots(comparison: Comparison) -> tuple[Plot, Plot]:
    case, modality = comparison.case, "product_image" if comparison.part == "clip" else "product_text"
    products = [
        (product, content)
        for product in case.shop.products
        for content in [product.picture_id if comparison.part == "clip" else text_hash(product.text)]
        if case.both_have(modality, content)
    ]
    groups = [product.category or "none" for product, _ in products]
    contents = [content for _, content in products]
    first, second = (two_axes(space.matrix(modality, contents).astype(np.float64)) for space in case.spaces)
    names = names_of(comparison)
    return grouped_points(first, groups, names[0]), grouped_points(turned_onto(second, first), groups, names[1])
