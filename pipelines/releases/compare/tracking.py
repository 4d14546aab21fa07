"""A comparison in MLflow: a parent run with the differences and all there is to look at, a child run per encoder."""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from encoders.evaluation.estimates import Difference, Estimate
from pipelines.evaluation.plots import drawn
from pipelines.point_in_time.delta_log import newest_version
from pipelines.releases.compare.compare import Comparison
from pipelines.releases.compare.report import CALLS, names_of, plots, to_html, to_json
from pipelines.releases.compare.spaces import core_hours_per_million
from pipelines.releases.mlflow_client import experiment_id, mlflow_client
from pipelines.releases.mlflow_runs import begin_run, end_run
from pipelines.releases.registry import CHAMPION, RegisteredEncoder, register_encoder
from pipelines.settings import Settings
from pipelines.tables.aggregates import EMBEDDINGS, USER_TILES
from pipelines.tables.sources import EVENTS, PRODUCT_CONTENTS, PRODUCTS, REVIEWS

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import DatasetInput

COMPARISONS_EXPERIMENT = "mmfs/comparisons"
CHALLENGER = "challenger"
_READ = (PRODUCTS, PRODUCT_CONTENTS, EVENTS, REVIEWS, EMBEDDINGS, USER_TILES)


@dataclass(frozen=True)
class Logged:
    """MLflow's run ids."""

    parent: str
    children: tuple[str, str]


def log_comparison(comparison: Comparison, settings: Settings) -> Logged:
    """Register both encoders, call the second the challenger unless it is a champion, and log what was found."""
    encoders = [register_encoder(space.spec, settings) for space in comparison.spaces]
    with mlflow_client(settings) as client:
        if CHAMPION not in encoders[1].aliases:
            client.set_registered_model_alias(encoders[1].name, CHALLENGER, encoders[1].number)
        experiment = experiment_id(client, COMPARISONS_EXPERIMENT, settings)
        parent = _parent(client, experiment, comparison, encoders, settings)
        children = [
            _child(client, experiment, parent, comparison, place, encoder, settings)
            for place, encoder in enumerate(encoders)
        ]
        end_run(client, parent)
    return Logged(parent, (children[0], children[1]))


def _parent(
    client: MlflowClient,
    experiment: str,
    comparison: Comparison,
    encoders: list[RegisteredEncoder],
    settings: Settings,
) -> str:
    from mlflow.entities import LoggedModelInput, Metric, Param

    names = names_of(comparison)
    tags = {
        "mmfs.verdict": comparison.verdict.overall,
        "mmfs.encoder.first": encoders[0].uri,
        "mmfs.encoder.second": encoders[1].uri,
        # What MLflow shows as the run's description.
        "mlflow.note.content": comparison.verdict.sentence,
    }
    run_id = begin_run(client, experiment, f"{names[1]} beside {names[0]}", tags)
    params = {"first": names[0], "second": names[1], "home": comparison.home, "margin": f"{comparison.margin:g}"}
    params |= {f"call.{name}": CALLS[said] for name, said in comparison.verdict.calls.items()}
    now = int(time.time() * 1000)
    client.log_batch(
        run_id,
        metrics=[Metric(name, value, now, 0) for name, value in _differences(comparison).items()],
        params=[Param(name, value) for name, value in params.items()],
    )
    models = [LoggedModelInput(model_id=encoder.model_id) for encoder in encoders]
    client.log_inputs(run_id, models=models, datasets=_datasets(settings))
    with tempfile.TemporaryDirectory(prefix="mmfs-comparison-") as scratch:
        write_files(Path(scratch), comparison)
        client.log_artifacts(run_id, scratch)
    return run_id


def _child(
    client: MlflowClient,
    experiment: str,
    parent: str,
    comparison: Comparison,
    place: int,
    encoder: RegisteredEncoder,
    settings: Settings,
) -> str:
    from mlflow.entities import LoggedModelInput, Metric, Param

    spec = comparison.spaces[place].spec
    tags = {"mlflow.parentRunId": parent, "mmfs.encoder": encoder.uri}
    run_id = begin_run(client, experiment, spec.key, tags)
    now = int(time.time() * 1000)
    # With the model's id they are figures of the version, too, and `mmfs encoders list` shows them.
    metrics = [
        Metric(name, value, now, 0, model_id=encoder.model_id) for name, value in _values(comparison, place).items()
    ]
    facts = {"encoder": spec.key, "uri": spec.uri, "checksum": spec.checksum, "dimensions": str(spec.dimensions)}
    client.log_batch(run_id, metrics=metrics, params=[Param(name, value) for name, value in facts.items()])
    client.log_inputs(run_id, models=[LoggedModelInput(model_id=encoder.model_id)], datasets=_datasets(settings))
    client.set_terminated(run_id)
    return run_id


def _values(comparison: Comparison, place: int) -> dict[str, float]:
    """Of one encoder: each task's value with its interval, what more was counted, pace and cost."""
    metrics: dict[str, float] = {}
    for outcome in comparison.outcomes:
        estimate = (outcome.before, outcome.after)[place]
        metrics |= _with_interval(f"{outcome.task.name}/{outcome.scores.quantity}", estimate)
        for name, values in outcome.scores.more.items():
            metrics[f"{outcome.task.name}/{name}"] = float(values[place].mean())
    for modality, pace in comparison.paces[place].items():
        metrics |= _with_interval(f"pace/{modality} per second", pace)
        hours = core_hours_per_million(pace.value, comparison.cores)
        metrics[f"cost/core hours per million {modality}"] = hours
        if comparison.core_hour_price is not None:
            metrics[f"cost/per million {modality}"] = hours * comparison.core_hour_price
    return _named(metrics)


def _differences(comparison: Comparison) -> dict[str, float]:
    """Second minus first of each task and slice, and what lies between the spaces."""
    metrics: dict[str, float] = {}
    for outcome in comparison.outcomes:
        metrics |= _with_interval(f"{outcome.task.name}/difference", outcome.difference)
        metrics[f"{outcome.task.name}/p corrected"] = outcome.p
    for part in comparison.slices:
        metrics |= _with_interval(f"{part.task}/difference/{part.grouping}/{part.group}", part.difference)
    for figure in (*comparison.drift, *comparison.stability):
        metrics |= _with_interval(f"spaces/{figure.part}/{figure.quantity}", figure.estimate)
    for figure in comparison.bridge:
        metrics |= _with_interval(f"bridge/{figure.part}/{figure.quantity}", figure.estimate)
    return _named(metrics)


def _with_interval(name: str, found: Estimate | Difference) -> dict[str, float]:
    return {name: found.value, f"{name} low": found.low, f"{name} high": found.high}


def _named(metrics: Mapping[str, float]) -> dict[str, float]:
    """By names that MLflow takes."""
    return {re.sub(r"[^\w\-./ ]", "_", name.replace("@", " at ")): value for name, value in metrics.items()}


def _datasets(settings: Settings) -> list[DatasetInput]:
    """The tables that were read, each at its version."""
    from mlflow.entities import Dataset, DatasetInput

    places = {table.name: table.location(settings.under_home().rstrip("/")) for table in _READ}
    versions = {name: newest_version(place) for name, place in places.items()}
    return [
        DatasetInput(Dataset(name, f"version {versions[name]}", "delta", places[name]))
        for name in places
        if versions[name] is not None
    ]


def write_files(folder: Path, comparison: Comparison) -> None:
    """The page, its figures as JSON, and the plots as SVG."""
    (folder / "comparison.html").write_text(to_html(comparison), encoding="utf-8")
    (folder / "comparison.json").write_text(to_json(comparison), encoding="utf-8")
    (folder / "plots").mkdir()
    for name, plot in plots(comparison).items():
        (folder / "plots" / f"{name}.svg").write_text(drawn(plot), encoding="utf-8")
