"""Compares two encoders and puts what was found where people look: a page, its figures beside it, MLflow."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pipelines.governance.home import open_home
from pipelines.releases.candidates import candidate
from pipelines.releases.compare.compare import Comparison, compare
from pipelines.releases.compare.report import to_html, to_json
from pipelines.releases.compare.tracking import Logged, log_comparison
from pipelines.releases.compare.vectors import Encoding
from pipelines.settings import Settings


def publish_comparison(
    settings: Settings,
    first: str,
    second: str,
    page: Path,
    *,
    margin: float,
    core_hour_price: float | None = None,
    encoding: Encoding | None = None,
    announce: Callable[[str], None] = lambda step: None,
) -> tuple[Comparison, Logged]:
    """Compare two encoders named as `candidate` takes them. Raises what `candidate` and `compare` raise."""
    open_home(settings, create=False)
    before, after = candidate(first, settings), candidate(second, settings)
    comparison = compare(
        settings,
        before,
        after,
        margin=margin,
        core_hour_price=core_hour_price,
        encoding=encoding,
        announce=announce,
    )
    announce("writing")
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(to_html(comparison), encoding="utf-8")
    page.with_suffix(".json").write_text(to_json(comparison), encoding="utf-8")
    return comparison, log_comparison(comparison, settings)
