"""An evaluation as an MLflow run: its figures, its page, and links to the encoders that made the vectors."""

from __future__ import annotations

import re
import tempfile
import time
from pathlib import Path

from pipelines.evaluation.measure import Measured
from pipelines.evaluation.plots import drawn
from pipelines.evaluation.report import Evaluation
from pipelines.releases.manifest import Release
from pipelines.releases.mlflow_client import experiment_id, mlflow_client
from pipelines.releases.registry import register_encoder
from pipelines.settings import Settings

EVALUATIONS_EXPERIMENT = "mmfs/evaluations"


def log_evaluation(evaluation: Evaluation, release: Release, settings: Settings) -> str:
    """Returns MLflow's run id."""
    encoders = [register_encoder(spec, settings) for spec in release.encoders.values()]
    with mlflow_client(settings) as client:
        from mlflow.entities import LoggedModelInput, Metric, Param

        experiment = experiment_id(client, EVALUATIONS_EXPERIMENT, settings)
        run_id: str = client.create_run(experiment, tags={"mmfs.release": release.name}).info.run_id
        now = int(time.time() * 1000)
        metrics = [Metric(name, value, now, 0) for name, value in _metrics(evaluation).items()]
        params = [Param(name, value) for name, value in evaluation.facts.items()]
        client.log_batch(run_id, metrics=metrics, params=params)
        client.log_inputs(run_id, models=[LoggedModelInput(model_id=e.model_id) for e in encoders if e.model_id])
        with tempfile.TemporaryDirectory(prefix="mmfs-evaluation-") as scratch:
            _write(Path(scratch), evaluation)
            client.log_artifacts(run_id, scratch)
        client.set_terminated(run_id)
    return run_id


def _metrics(evaluation: Evaluation) -> dict[str, float]:
    """Value and both ends of the interval of each figure, by a name that MLflow takes."""
    metrics: dict[str, float] = {}
    for measure, outcome in evaluation.found:
        for figure in outcome.figures if isinstance(outcome, Measured) else ():
            name = re.sub(r"[^\w\-./ ]", "", f"{measure.name}/{figure.part}/{figure.quantity}")
            estimate = figure.estimate
            metrics |= {name: estimate.value, f"{name} low": estimate.low, f"{name} high": estimate.high}
    return metrics


def _write(folder: Path, evaluation: Evaluation) -> None:
    (folder / "evaluation.html").write_text(evaluation.to_html(), encoding="utf-8")
    (folder / "evaluation.json").write_text(evaluation.to_json(), encoding="utf-8")
    (folder / "plots").mkdir()
    for measure, outcome in evaluation.found:
        if isinstance(outcome, Measured):
            (folder / "plots" / f"{measure.name}.svg").write_text(drawn(outcome.plot), encoding="utf-8")
