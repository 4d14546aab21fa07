"""MLflow as the record: every encoder a model version, every run linked to the versions it used."""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING

from encoders.spec import EncoderSpec
from pipelines.errors import EncoderMismatchError
from pipelines.governance.runs import Run, StepReport
from pipelines.releases.manifest import Release
from pipelines.releases.mlflow_client import experiment_id, mlflow_client
from pipelines.releases.mlflow_runs import begin_run, end_run
from pipelines.releases.model_uris import keep_model_uri
from pipelines.releases.model_versions import log_version, require_model
from pipelines.settings import PROJECT_ROOT, Settings

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

ENCODERS_EXPERIMENT = "mmfs/encoders"
RUNS_EXPERIMENT = "mmfs/runs"
CHAMPION = "champion"
_MODEL_CODE = Path(__file__).with_name("encoder_model.py")


@dataclass(frozen=True)
class RegisteredEncoder:
    """An encoder's place in the registry. `number` is MLflow's, counted by it; `version` is the encoder's.

    `facts` are the version's tags: uri, checksum, dimensions, modalities, licence.
    """

    name: str
    version: str
    number: str
    model_id: str
    aliases: tuple[str, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def uri(self) -> str:
        return f"models:/{self.name}/{self.number}"


def register_encoder(spec: EncoderSpec, settings: Settings) -> RegisteredEncoder:
    """The model version of an encoder, made when it is not there yet.

    Raises EncoderMismatchError where its name and version are registered for other weights or preprocessing.
    """
    with mlflow_client(settings) as client:
        return _register(client, spec, settings)


def register_release(release: Release, settings: Settings) -> dict[str, RegisteredEncoder]:
    """Register the encoders of what is or becomes the default release and call them champions. By part."""
    with mlflow_client(settings) as client:
        registered = {part: _register(client, spec, settings) for part, spec in release.encoders.items()}
        for encoder in registered.values():
            client.set_registered_model_alias(encoder.name, CHAMPION, encoder.number)
    return registered


def registered_encoders(settings: Settings) -> list[RegisteredEncoder]:
    """Every registered encoder, by name and MLflow's number."""
    with mlflow_client(settings) as client:
        found = [
            _as_registered(client.get_model_version(version.name, version.version))
            for version in client.search_model_versions()
            if "encoder_version" in version.tags
        ]
    return sorted(found, key=lambda encoder: (encoder.name, int(encoder.number)))


def log_run(run: Run, reports: list[StepReport], release: Release, settings: Settings) -> str:
    """One MLflow run of a pipeline run: its figures, and links to the encoder versions it stood on.

    Repeating it for the same run adds nothing. Returns MLflow's run id.
    """
    with mlflow_client(settings) as client:
        experiment = experiment_id(client, RUNS_EXPERIMENT, settings)
        known = client.search_runs([experiment], f"tags.`mmfs.run_id` = '{run.run_id}'", max_results=1)
        if known:
            return str(known[0].info.run_id)
        encoders = {part: _register(client, spec, settings) for part, spec in release.encoders.items()}
        tags = {"mmfs.run_id": run.run_id, "mmfs.release": release.name}
        tags |= {f"mmfs.encoder.{part}": encoder.uri for part, encoder in encoders.items()}
        made = begin_run(client, experiment, run.run_id, tags)
        _log_figures(client, made, run, reports, release)
        _link_models(client, made, encoders)
        end_run(client, made)
    return made


def _register(client: MlflowClient, spec: EncoderSpec, settings: Settings) -> RegisteredEncoder:
    found = _found_or_created(client, spec, settings)
    keep_model_uri(settings, spec.key, found.uri)
    return found


def _found_or_created(client: MlflowClient, spec: EncoderSpec, settings: Settings) -> RegisteredEncoder:
    known = _find(client, spec)
    if known is not None:
        if known.tags["identity"] != identity(spec):
            raise EncoderMismatchError(
                f"encoder {spec.key} is registered with other weights or preprocessing "
                f"(checksum {known.tags['checksum']}, now {spec.checksum}); give the new one its own version"
            )
        return _as_registered(known)
    require_model(client, spec.name, spec.description)
    return _as_registered(_create_version(client, spec, settings))


def identity(spec: EncoderSpec) -> str:
    """What decides the vectors: the weights (their URI where they cannot be hashed yet) and preprocessing."""
    parts = [spec.checksum or spec.uri, spec.dimensions, list(spec.modalities), spec.preprocessing]
    return hashlib.sha256(json.dumps(parts, ensure_ascii=False, sort_keys=True).encode()).hexdigest()


def _find(client: MlflowClient, spec: EncoderSpec) -> ModelVersion | None:
    versions = client.search_model_versions(f"name = '{spec.name}'")
    return next((v for v in versions if v.tags.get("encoder_version") == spec.version), None)


def _create_version(client: MlflowClient, spec: EncoderSpec, settings: Settings) -> ModelVersion:
    facts = {
        "encoder_version": spec.version,
        "identity": identity(spec),
        "uri": spec.uri,
        "checksum": spec.checksum,
        "dimensions": str(spec.dimensions),
        "modalities": ",".join(spec.modalities),
        "licence": spec.licence,
    }
    experiment = experiment_id(client, ENCODERS_EXPERIMENT, settings)
    run_id = begin_run(client, experiment, f"register {spec.key}")
    with tempfile.TemporaryDirectory(prefix="mmfs-encoder-") as scratch:
        _save_model(Path(scratch) / "model", spec)
        version = log_version(
            client,
            run_id,
            Path(scratch) / "model",
            name=spec.name,
            model_type="encoder",
            tags=facts,
            params={**facts, "preprocessing": json.dumps(spec.preprocessing, ensure_ascii=False)},
            description=_model_card(spec),
        )
    client.set_terminated(run_id)
    return version


def _save_model(folder: Path, spec: EncoderSpec) -> None:
    import mlflow.pyfunc
    import numpy as np
    from mlflow.models.signature import ModelSignature
    from mlflow.types.schema import ColSpec, DataType, ParamSchema, ParamSpec, Schema, TensorSpec

    columns = {"text": ColSpec("string", "text", required=False)}
    if "image" in spec.modalities:
        columns["image"] = ColSpec("binary", "image", required=False)
    signature = ModelSignature(
        inputs=Schema([*columns.values()]),
        outputs=Schema([TensorSpec(np.dtype(np.float32), (-1, spec.dimensions))]),
        params=ParamSchema([ParamSpec("role", DataType.string, "passage")]),
    )
    with tempfile.TemporaryDirectory(prefix="mmfs-artifacts-") as scratch:
        spec_file, card_file = Path(scratch, "spec.json"), Path(scratch, "MODEL_CARD.md")
        spec_file.write_text(spec.to_json(), encoding="utf-8")
        card_file.write_text(_model_card(spec), encoding="utf-8")
        mlflow.pyfunc.save_model(
            str(folder),
            python_model=str(_MODEL_CODE),
            artifacts={"spec": str(spec_file), "model_card": str(card_file)},
            signature=signature,
            # Given, or MLflow would install and import the world to find out.
            pip_requirements=["multimodal-feature-store[encoders]"],
        )


def _model_card(spec: EncoderSpec) -> str:
    card = PROJECT_ROOT / (spec.model_card or "")
    if spec.model_card and card.is_file():
        return card.read_text(encoding="utf-8")
    more = f"\n\nModel card: {spec.model_card}" if spec.model_card else ""
    return f"# {spec.name} {spec.version}\n\n{spec.description}\n\nLicence: {spec.licence or 'unknown'}{more}\n"


def _as_registered(version: ModelVersion) -> RegisteredEncoder:
    return RegisteredEncoder(
        version.name,
        version.tags["encoder_version"],
        str(version.version),
        version.tags["model_id"],
        tuple(sorted(version.aliases)),
        dict(version.tags),
    )


def _log_figures(client: MlflowClient, run_id: str, run: Run, reports: list[StepReport], release: Release) -> None:
    from mlflow.entities import Metric, Param

    now = int(time.time() * 1000)
    totals: dict[str, float] = {}
    for report in reports:
        for figure in report.figures:
            parts = [report.step, figure.subject, figure.measure, figure.reason]
            name = re.sub(r"[^\w\-./ ]", "_", "/".join(part for part in parts if part))
            totals[name] = totals.get(name, 0.0) + figure.value
    metrics = [Metric(name, value, now, 0) for name, value in totals.items()]
    params = {
        "as_of": run.as_of.astimezone(UTC).isoformat(),
        "steps": ",".join(report.step for report in reports),
        "release": release.name,
        "release_checksum": release.checksum,
    }
    params |= {f"encoder.{part}": spec.key for part, spec in release.encoders.items()}
    # The store takes a thousand entries at a time.
    for start in range(0, len(metrics), 900):
        client.log_batch(run_id, metrics=metrics[start : start + 900])
    client.log_batch(run_id, params=[Param(key, value) for key, value in params.items()])


def _link_models(client: MlflowClient, run_id: str, encoders: dict[str, RegisteredEncoder]) -> None:
    from mlflow.entities import LoggedModelInput

    models = [LoggedModelInput(model_id=encoder.model_id) for encoder in encoders.values() if encoder.model_id]
    client.log_inputs(run_id, models=models)
