"""Takes all measures and puts what was found where people look: a page, its figures beside it, MLflow."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from pipelines.evaluation.evaluate import evaluate
from pipelines.evaluation.report import Evaluation
from pipelines.evaluation.tracking import log_evaluation
from pipelines.evaluation.truth import Truth
from pipelines.releases.pin import live_release
from pipelines.settings import Settings


def publish_evaluation(
    settings: Settings, truth: Path, page: Path, release: str | None = None, as_of: datetime | None = None
) -> tuple[Evaluation, str]:
    """The evaluation of a live release (None: the default one), and its MLflow run id.

    Raises TruthError, HomeError, UnknownReleaseError.
    """
    facts = Truth(truth)
    chosen = live_release(settings, release)
    evaluation = evaluate(settings, chosen, facts, as_of)
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(evaluation.to_html(), encoding="utf-8")
    page.with_suffix(".json").write_text(evaluation.to_json(), encoding="utf-8")
    return evaluation, log_evaluation(evaluation, chosen, settings)
