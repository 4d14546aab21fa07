"""A fine-tuned encoder in the registry, with its card, where it comes from, and an MLflow run with its curves."""

from __future__ import annotations

import dataclasses
import json
import re
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from encoders.finetuning.loop import SCORE
from encoders.spec import EncoderSpec, resolve
from pipelines.evaluation.plots import drawn, lines
from pipelines.finetuning.finetune import Finetuned
from pipelines.releases.candidates import with_version_here
from pipelines.releases.mlflow_client import experiment_id, mlflow_client
from pipelines.releases.mlflow_runs import begin_run, end_run
from pipelines.releases.registry import RegisteredEncoder, register_encoder
from pipelines.settings import Settings

if TYPE_CHECKING:
    from mlflow import MlflowClient

FINETUNING_EXPERIMENT = "mmfs/finetuning"
_CARD, _CONFIG = "MODEL_CARD.md", "open_clip_config.json"
_SCORE_NAME = "NDCG at 10"


@dataclasses.dataclass(frozen=True)
class Recorded:
    """The new version, None where there is none, the sentence that says what it is worth, and MLflow's run id."""

    encoder: RegisteredEncoder | None
    sentence: str
    run_id: str


def record(found: Finetuned, settings: Settings) -> Recorded:
    """Register the encoder under its base's name as the next version, and log how it came about."""
    base = register_encoder(found.base, settings)
    encoder, sentence = None, f"no step was better than {found.base.key} at what ends the training; nothing is new"
    if found.folder is not None:
        spec = _described(found, settings)
        sentence = found.judged.sentence(found.base.key, spec.key)
        (found.folder / _CARD).write_text(_card(found, spec, sentence), encoding="utf-8")
        encoder = register_encoder(spec, settings)
    with mlflow_client(settings) as client:
        run_id = _log(client, found, base, encoder, sentence, settings)
        if encoder is not None:
            for name, value in _lineage(found, base, run_id).items():
                client.set_model_version_tag(encoder.name, encoder.number, name, value)
    return Recorded(encoder, sentence, run_id)


def manifest(found: Finetuned) -> dict[str, Any]:
    """What it was learned from: times, counts and the tables' versions. It names nobody."""
    windows = found.gathered.windows
    return {
        "base": {"encoder": found.base.key, "uri": found.base.uri, "checksum": found.base.checksum},
        "release": found.release.name,
        "learned_until": windows.learn.isoformat(),
        "ended_by_purchases_until": windows.test.isoformat(),
        "counts": dict(found.study.counts),
        "tables": dict(found.gathered.versions),
        "options": dataclasses.asdict(found.options),
    }


def _described(found: Finetuned, settings: Settings) -> EncoderSpec:
    """The spec, by the version it gets here; its folder says whose licence it has and what it is."""
    assert found.folder is not None
    file = found.folder / _CONFIG
    config = json.loads(file.read_text(encoding="utf-8"))
    about = {"licence": found.base.licence, "description": f"{found.base.key} fine-tuned on a shop's own pairs"}
    file.write_text(json.dumps(config | about, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    # The card is written when the version is known, which the spec decides.
    (found.folder / _CARD).touch()
    return with_version_here(resolve(f"open-clip:{found.folder}", name=found.base.name), settings)


def _card(found: Finetuned, spec: EncoderSpec, sentence: str) -> str:
    windows, counts = found.gathered.windows, found.study.counts
    lines_ = [
        f"# {spec.key}",
        f"{found.base.key} ({found.base.uri}), its last layers fine-tuned on a shop's own pairs: pictures with titles, "
        "queries with the pictures chosen after them, products of one session. The trunk is as it was.",
        sentence,
        "| held out | before → after, difference [95% interval] |\n|---|---|\n"
        + "\n".join(f"| {name} | {change} |" for name, change in found.judged.changes.items()),
        f"Learned from what happened before {windows.learn:%Y-%m-%d}, ended by purchases until "
        f"{windows.test:%Y-%m-%d}, judged by those after. Behaviour of those who allowed personalisation then and when "
        "it was made.",
        "| learned from | |\n|---|---|\n" + "\n".join(f"| {name} | {count:,} |" for name, count in counts.items()),
        f"Licence: that of the base ({found.base.licence or 'unknown'}); whether the weights may leave the shop is the "
        "shop's to say.",
    ]
    return "\n\n".join(lines_) + "\n"


def _lineage(found: Finetuned, base: RegisteredEncoder, run_id: str) -> dict[str, str]:
    return {
        "mmfs.base": base.uri,
        "mmfs.release": found.release.name,
        "mmfs.learned_until": found.gathered.windows.learn.isoformat(),
        "mmfs.finetuning_run": run_id,
    }


def _log(
    client: MlflowClient,
    found: Finetuned,
    base: RegisteredEncoder,
    encoder: RegisteredEncoder | None,
    sentence: str,
    settings: Settings,
) -> str:
    from mlflow.entities import LoggedModelInput, LoggedModelOutput, Param

    experiment = experiment_id(client, FINETUNING_EXPERIMENT, settings)
    tags = {"mmfs.base": base.uri, "mmfs.release": found.release.name, "mlflow.note.content": sentence}
    if encoder is not None:
        tags["mmfs.encoder"] = encoder.uri
    run_id = begin_run(client, experiment, f"fine-tune {found.base.key}", tags)
    options = {name: value for name, value in dataclasses.asdict(found.options).items() if name != "shares"}
    options |= {f"share.{kind}": share for kind, share in found.options.shares.items()}
    client.log_batch(run_id, metrics=_metrics(found), params=[Param(n, str(v)) for n, v in options.items()])
    client.log_inputs(run_id, models=[LoggedModelInput(model_id=base.model_id)])
    if encoder is not None:
        client.log_outputs(run_id, models=[LoggedModelOutput(model_id=encoder.model_id, step=found.progress.best_step)])
    with tempfile.TemporaryDirectory(prefix="mmfs-finetuning-") as scratch:
        _write(Path(scratch), found)
        client.log_artifacts(run_id, scratch)
    end_run(client, run_id)
    return run_id


def _metrics(found: Finetuned) -> list[Any]:
    from mlflow.entities import Metric

    now, metrics = int(time.time() * 1000), []
    for entry in found.progress.curve:
        step = int(entry["step"])
        metrics += [Metric(f"curve/{_named(n)}", v, now, step) for n, v in entry.items() if n != "step"]
    for name, change in found.judged.changes.items():
        values = {"before": change.before, "after": change.after, "difference": change.difference.value}
        values |= {"difference low": change.difference.low, "difference high": change.difference.high}
        metrics += [Metric(f"held out/{_named(name)}/{what}", value, now, 0) for what, value in values.items()]
    metrics += [Metric(f"data/{_named(name)}", float(count), now, 0) for name, count in found.study.counts.items()]
    return metrics


def _named(name: str) -> str:
    """By names that MLflow takes."""
    return re.sub(r"[^\w\-./ ]", "", (_SCORE_NAME if name == SCORE else name).replace("@", " at "))


def _write(folder: Path, found: Finetuned) -> None:
    (folder / "manifest.json").write_text(json.dumps(manifest(found), indent=2, default=str) + "\n", encoding="utf-8")
    (folder / "curve.json").write_text(json.dumps(found.progress.curve, indent=2) + "\n", encoding="utf-8")
    curve = found.progress.curve
    plots = {
        "losses": {n: [(e["step"], e[n]) for e in curve if n in e] for n in ("training loss", "validation loss")},
        "next_purchase": {_SCORE_NAME: [(e["step"], e[SCORE]) for e in curve]},
    }
    for name, series in plots.items():
        (folder / f"{name}.svg").write_text(drawn(lines(series, "step")), encoding="utf-8")
