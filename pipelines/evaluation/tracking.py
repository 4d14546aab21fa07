"""Figures as an MLflow run: their page, the data they were learned from, and the encoders that made the vectors."""

from __future__ import annotations

import json
import re
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.evaluation.measure import Measured
from pipelines.evaluation.plots import drawn
from pipelines.evaluation.report import Evaluation
from pipelines.releases.manifest import Release
from pipelines.releases.mlflow_client import experiment_id, mlflow_client
from pipelines.releases.mlflow_runs import begin_run, end_run
from pipelines.releases.registry import register_encoder
from pipelines.settings import Settings

if TYPE_CHECKING:
    from mlflow.entities import DatasetInput

EVALUATIONS_EXPERIMENT = "mmfs/evaluations"


@dataclass(frozen=True)
class TrainingData:
    """A training set as MLflow names it: its name, its service, and its manifest as JSON with the file's digest."""

    name: str
    service: str
    digest: str
    manifest: str


def log_evaluation(
    evaluation: Evaluation,
    release: Release,
    settings: Settings,
    experiment_name: str = EVALUATIONS_EXPERIMENT,
    training_data: Sequence[TrainingData] = (),
) -> str:
    """Returns MLflow's run id."""
    encoders = {part: register_encoder(spec, settings) for part, spec in release.encoders.items()}
    tags = {"mmfs.release": release.name, "mmfs.release.parts": release.parts_checksum}
    tags |= {f"mmfs.encoder.{part}": encoder.uri for part, encoder in encoders.items()}
    with mlflow_client(settings) as client:
        from mlflow.entities import LoggedModelInput, Metric, Param

        experiment = experiment_id(client, experiment_name, settings)
        run_id = begin_run(client, experiment, evaluation.title, tags)
        now = int(time.time() * 1000)
        metrics = [Metric(name, value, now, 0) for name, value in _metrics(evaluation).items()]
        params = [Param(name, value) for name, value in evaluation.facts.items()]
        client.log_batch(run_id, metrics=metrics, params=params)
        models = [LoggedModelInput(model_id=e.model_id) for e in encoders.values() if e.model_id]
        client.log_inputs(run_id, models=models, datasets=[_dataset(data) for data in training_data])
        with tempfile.TemporaryDirectory(prefix="mmfs-evaluation-") as scratch:
            _write(Path(scratch), evaluation)
            for data in training_data:
                Path(scratch, f"{data.name}.manifest.json").write_text(data.manifest, encoding="utf-8")
            client.log_artifacts(run_id, scratch)
        end_run(client, run_id)
    return run_id


def _dataset(data: TrainingData) -> DatasetInput:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    # MLflow keeps 36 characters of a digest; the whole one is in the manifest.
    dataset = Dataset(
        name=data.name,
        digest=data.digest.removeprefix("sha256:")[:36],
        source_type="feast",
        source=json.dumps({"feature_service": data.service}),
        profile=data.manifest,
    )
    return DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])


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
