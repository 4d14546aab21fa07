"""Plots of figures: one horizontal bar a figure, with its interval, and a mark at what chance would give."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from encoders.evaluation.estimates import Estimate
from pipelines.evaluation.measure import Figure
from pipelines.evaluation.prototypes import Floats

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BAR, _SECOND, _ERROR, _CHANCE = "#4C78A8", "#F2A541", "#222222", "#E45756"
_HALF = 0.19  # of the distance between two pairs of bars
_HEIGHT = 0.28  # inches a bar


def bars(figures: Sequence[Figure]) -> Callable[[Axes], None]:
    """A plot of figures from top to bottom in their order; the axis shows 0 to 1, and more where they need it."""

    def draw(axes: Axes) -> None:
        places = list(range(len(figures)))
        values = [figure.estimate.value for figure in figures]
        below = [max(0.0, f.estimate.value - f.estimate.low) for f in figures]
        above = [max(0.0, f.estimate.high - f.estimate.value) for f in figures]
        axes.barh(places, values, xerr=[below, above], color=_BAR, ecolor=_ERROR, capsize=2, height=0.7)
        chances = [(place, f.chance) for place, f in zip(places, figures, strict=True) if f.chance is not None]
        if chances:
            at, chance = zip(*chances, strict=True)
            axes.plot(chance, at, "|", color=_CHANCE, markersize=14, markeredgewidth=2, label="chance")
            axes.legend(loc="lower right", frameon=False)
        axes.set_yticks(places, [f"{f.part}, {f.quantity}" for f in figures])
        axes.set_ylim(len(figures) - 0.4, -0.6)
        axes.set_xlim(
            min([0.0, *(f.estimate.low for f in figures)]), 1.02 * max([1.0, *(f.estimate.high for f in figures)])
        )
        axes.spines[["top", "right"]].set_visible(False)
        axes.figure.set_size_inches(8.5, 0.9 + _HEIGHT * len(figures))  # type: ignore[union-attr]

    return draw


@dataclass(frozen=True)
class Pair:
    """A quantity of two things beside each other, and what chance would give."""

    name: str
    before: Estimate
    after: Estimate
    chance: float | None = None


def paired_bars(pairs: Sequence[Pair], names: tuple[str, str]) -> Callable[[Axes], None]:
    """A plot of quantities between 0 and 1, two bars each, from top to bottom in their order."""

    def draw(axes: Axes) -> None:
        for offset, name, colour, found in (
            (-_HALF, names[0], _BAR, [pair.before for pair in pairs]),
            (_HALF, names[1], _SECOND, [pair.after for pair in pairs]),
        ):
            places = [place + offset for place in range(len(pairs))]
            errors = [[max(0.0, e.value - e.low) for e in found], [max(0.0, e.high - e.value) for e in found]]
            values = [estimate.value for estimate in found]
            axes.barh(places, values, xerr=errors, color=colour, ecolor=_ERROR, capsize=2, height=0.36, label=name)
        chances = [(place, pair.chance) for place, pair in enumerate(pairs) if pair.chance is not None]
        if chances:
            at, chance = zip(*chances, strict=True)
            axes.plot(chance, at, "|", color=_CHANCE, markersize=22, markeredgewidth=2, label="chance")
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.08), ncol=3, frameon=False)
        axes.set_yticks(list(range(len(pairs))), [pair.name for pair in pairs])
        axes.set_ylim(len(pairs) - 0.4, -0.6)
        axes.set_xlim(0, 1.02)
        axes.spines[["top", "right"]].set_visible(False)
        axes.figure.set_size_inches(8.5, 1.1 + 2 * _HEIGHT * len(pairs))  # type: ignore[union-attr]

    return draw


def grouped_points(points: Floats, groups: Sequence[str], title: str) -> Callable[[Axes], None]:
    """A plot of points (n, 2), each in its group's colour; groups beyond twenty share the last one."""

    def draw(axes: Axes) -> None:
        from matplotlib import colormaps

        colours = colormaps["tab20"].colors  # type: ignore[attr-defined]
        for number, group in enumerate(sorted(set(groups))):
            inside = [place for place, name in enumerate(groups) if name == group]
            colour = colours[min(number, len(colours) - 1)]
            axes.scatter(points[inside, 0], points[inside, 1], s=14, color=colour, label=group, linewidths=0)
        axes.set_title(title, fontsize=10)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.set_aspect("equal", adjustable="datalim")
        axes.legend(fontsize=7, ncol=4, loc="upper center", bbox_to_anchor=(0.5, -0.02), frameon=False)
        axes.figure.set_size_inches(4.6, 5.2)  # type: ignore[union-attr]

    return draw


def lines(series: Mapping[str, Sequence[tuple[float, float]]], along: str) -> Callable[[Axes], None]:
    """A plot of values over something that grows, a line each."""

    def draw(axes: Axes) -> None:
        for name, points in series.items():
            axes.plot(*zip(*points, strict=True), label=name, marker=".")
        axes.set_xlabel(along)
        axes.legend(frameon=False)
        axes.spines[["top", "right"]].set_visible(False)
        axes.figure.set_size_inches(6.0, 3.6)  # type: ignore[union-attr]

    return draw


def drawn(plot: Callable[[Axes], None]) -> str:
    """A plot as SVG markup, without an XML header and with the same bytes each time."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure as Canvas

    out = io.StringIO()
    with rc_context({"svg.hashsalt": "mmfs"}):
        canvas = Canvas(layout="constrained")
        plot(canvas.subplots())
        FigureCanvasSVG(canvas).print_svg(out, metadata={"Date": None, "Creator": None})
    text = out.getvalue()
    return text[text.index("<svg") :]
