"""Fits a bridge between two encoders on a home, measures it and writes it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pipelines.errors import NothingToCompareError, SettingsError
from pipelines.evaluation.measure import Figure
from pipelines.releases.bridge import KINDS, Bridge
from pipelines.releases.candidates import candidate
from pipelines.releases.compare.bridging import bridge_figures, fitted_bridge
from pipelines.releases.compare.compare import case_on, part_of
from pipelines.releases.compare.vectors import Encoding
from pipelines.settings import Settings


def build_bridge(
    settings: Settings,
    new: str,
    old: str,
    path: Path,
    kind: str | None = None,
    *,
    encoding: Encoding | None = None,
    announce: Callable[[str], None] = lambda step: None,
) -> tuple[Bridge, tuple[Figure, ...]]:
    """Fit a map of the new encoder's vectors into the old one's space on a home, and write it; with what it is worth.

    Without a kind, the one whose queries find more. Raises as `compare`; NothingToCompareError where a home has too
    little, SettingsError for a kind that is none.
    """
    if kind is not None and kind not in KINDS:
        raise SettingsError(f"no kind {kind!r} of bridge; there are: {', '.join(KINDS)}")
    specs = candidate(old, settings), candidate(new, settings)
    part, case = part_of(*specs), case_on(settings, specs, encoding, announce)
    found = bridge_figures(case, part)
    if not found:
        raise NothingToCompareError(f"home {settings.home} has too few products and queries to measure a bridge by")
    worth = {name: figure.estimate.value for name in KINDS for figure in found if f" {name} map" in figure.part}
    bridge = fitted_bridge(case, part, kind or max(worth, key=lambda name: worth[name]))
    path.parent.mkdir(parents=True, exist_ok=True)
    bridge.write(path)
    return bridge, found
