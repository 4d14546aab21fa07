"""Plots of figures: one horizontal bar a figure, with its interval, and a mark at what chance would give."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from pipelines.evaluation.measure import Figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BAR, _ERROR, _CHANCE = "#4C78A8", "#222222", "#E45756"
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
