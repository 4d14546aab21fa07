"""Encoders and runs in a real MLflow on SQLite."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from encoders.errors import EncoderFilesMissingError
from encoders.load import load
from encoders.spec import EncoderSpec
from pipelines.errors import EncoderMismatchError, SettingsError
from pipelines.governance.runs import Run, StepReport
from pipelines.releases.bootstrap import pin_first_release, planned_release
from pipelines.releases.manifest import Release
from pipelines.releases.mlflow_client import mlflow_client, tracking_uri
from pipelines.releases.pin import default_release
from pipelines.releases.registry import log_run, register_encoder, registered_encoders
from pipelines.settings import PROJECT_ROOT, Settings, load_settings


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory, home_with_mlflow: Callable[[Path], Settings]) -> Settings:
    return home_with_mlflow(tmp_path_factory.mktemp("registry") / "home")


@pytest.fixture(scope="module")
def run(settings: Settings) -> Run:
    return Run(settings, datetime(2026, 3, 1, tzinfo=UTC), "run-1")


@pytest.fixture(scope="module")
def release(settings: Settings) -> Release:
    planned = planned_release(settings)
    pin_first_release(settings, planned)
    return planned


def test_the_first_release_is_pinned_and_registered(release: Release, settings: Settings) -> None:
    assert release.name == "r1"
    assert default_release(settings) == release == planned_release(settings)
    found = {(e.name, e.version, e.number, e.aliases) for e in registered_encoders(settings)}
    assert found == {(spec.name, "1", "1", ("champion",)) for spec in release.encoders.values()}


def test_registering_twice_gives_one_version(release: Release, settings: Settings) -> None:
    before = registered_encoders(settings)
    assert register_encoder(release.clip, settings).uri == f"models:/{release.clip.name}/1"
    assert registered_encoders(settings) == before


def test_the_version_says_what_the_encoder_is(release: Release, settings: Settings) -> None:
    registered = register_encoder(release.clip, settings)
    with mlflow_client(settings) as client:
        version = client.get_model_version(registered.name, registered.number)
        model = client.get_logged_model(registered.model_id)
    assert version.tags["checksum"] == release.clip.checksum
    assert version.tags["dimensions"] == str(release.clip.dimensions)
    assert model.params["licence"] == release.clip.licence
    assert model.params["uri"] == release.clip.uri
    assert version.description
    assert release.clip.name in version.description.lower().replace(" ", "-")
    folder = Path(model.artifact_location.removeprefix("file://"))
    assert EncoderSpec.from_json((folder / "artifacts" / "spec.json").read_text(encoding="utf-8")) == release.clip
    assert (folder / "artifacts" / "MODEL_CARD.md").is_file()
    assert not list(folder.rglob("*.pkl"))


def test_other_weights_need_another_version(release: Release, settings: Settings) -> None:
    changed = dataclasses.replace(release.review, checksum="sha256:other")
    with pytest.raises(EncoderMismatchError, match="other weights"):
        register_encoder(changed, settings)
    registered = register_encoder(dataclasses.replace(changed, version="2"), settings)
    assert (registered.version, registered.number, registered.aliases) == ("2", "2", ())


def test_a_run_is_linked_to_the_versions_it_used(release: Release, settings: Settings, run: Run) -> None:
    report = StepReport("encode")
    report.add("image", "failed", 2, "not_an_image")
    report.add("image", "encoded", 40)
    report.add(None, "seconds", 1.5)
    run_id = log_run(run, [report], release, settings)
    assert log_run(run, [report], release, settings) == run_id
    with mlflow_client(settings) as client:
        logged = client.get_run(run_id)
    assert logged.info.status == "FINISHED"
    figures = dict(logged.data.metrics)
    assert figures.pop("system/cpu_seconds") > 0
    assert figures.pop("system/peak_memory_megabytes") > 50
    assert figures == {
        "encode/image/failed/not_an_image": 2,
        "encode/image/encoded": 40,
        "encode/seconds": 1.5,
    }
    assert logged.data.tags["mlflow.source.name"]
    assert logged.data.params["as_of"] == "2026-03-01T00:00:00+00:00"
    assert logged.data.params["release"] == "r1"
    assert logged.data.tags["mmfs.encoder.clip"] == f"models:/{release.clip.name}/1"
    assert logged.inputs
    linked = {model.model_id for model in logged.inputs.model_inputs}
    assert linked == {register_encoder(spec, settings).model_id for spec in release.encoders.values()}


def test_a_registered_model_encodes(release: Release, settings: Settings) -> None:
    import pandas as pd

    try:
        plain = load(release.review, cache_dir=settings.cache_dir)
    except EncoderFilesMissingError as error:
        pytest.skip(str(error))
    with warnings.catch_warnings():
        # MLflow's loader and its dependencies, not ours.
        warnings.simplefilter("ignore")
        import mlflow

        mlflow.set_tracking_uri(tracking_uri(settings))
        model = mlflow.pyfunc.load_model(f"models:/{release.review.name}/1")
        vectors = model.predict(pd.DataFrame({"text": ["质量很好", "The zip broke."]}))
    expected = plain.encode_texts(["质量很好", "The zip broke."])
    assert vectors.shape == (2, release.review.dimensions)
    assert float(np.sum(vectors * expected, axis=1).min()) > 0.999


def test_changing_an_encoder_takes_a_promotion(release: Release, settings: Settings) -> None:
    other = load_settings(home=settings.home, clip_encoder="open-clip:ViT-B-32/openai")
    with pytest.raises(SettingsError, match="promote a release"):
        planned_release(other)


def test_unknown_encoders_are_one_line(tmp_path: Path) -> None:
    wrong = load_settings(home=str(tmp_path), clip_encoder="bundled:no-such")
    with pytest.raises(SettingsError, match="MMFS_CLIP_ENCODER: unknown encoder") as raised:
        planned_release(wrong)
    assert "\n" not in str(raised.value)
    textual = load_settings(home=str(tmp_path), clip_encoder="bundled:e5-small")
    with pytest.raises(SettingsError, match="not image"):
        planned_release(textual)
    assert not list(tmp_path.iterdir())


def test_a_remote_home_needs_a_server() -> None:
    with pytest.raises(SettingsError, match="MMFS_MLFLOW_TRACKING_URI is needed"):
        tracking_uri(load_settings(home="s3://bucket/home"))


def test_our_folder_does_not_hide_mlflow() -> None:
    assert not (PROJECT_ROOT / "mlflow" / "__init__.py").exists()
