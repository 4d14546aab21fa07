"""What Feast is told: by our own apply, by plain `feast apply`, and never with Spark running."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from feast import FeatureStore

from encoders.heads.spec import HeadsSpec
from encoders.spec import EncoderSpec
from pipelines.errors import SettingsError
from pipelines.governance.runs import Run
from pipelines.releases.manifest import Release
from pipelines.releases.model_uris import keep_model_uri
from pipelines.releases.pin import write_pin
from pipelines.serving.delta_source import DeltaSource
from pipelines.serving.repo import FEATURE_REPO, apply, feature_store
from pipelines.settings import PROJECT_ROOT, Settings
from pipelines.tables.features import HISTORIES

USES = {"recommendation", "ranking", "marketing", "profile", "risk", "product_ranking"}
PICTURES = "user_visual_interest_personalisation_tiny_clip"


def release(name: str, clip_version: str) -> Release:
    def spec(encoder: str, version: str, *modalities: str) -> EncoderSpec:
        return EncoderSpec(encoder, version, f"test:{encoder}", modalities, 4, "sha256:0", "Apache-2.0")

    heads = HeadsSpec("tiny-heads", "1", "bundled:tiny-e5", "sha256:1", "sha256:0")
    clip, review = spec("tiny-clip", clip_version, "image", "text"), spec("tiny-e5", "1", "text")
    return Release(name, clip, review, heads=heads, tag_calibrations={"definition": "1-00000000"})


R1, R2 = release("r1", "1"), release("r2", "2")


def applied(settings: Settings, releases: list[Release], default: str = "r1") -> FeatureStore:
    write_pin(settings, releases, default)
    apply(settings, Run(settings, datetime(2026, 1, 1, tzinfo=UTC), "x"), releases)
    return feature_store(settings, offline=False)


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    settings = Settings(home=str(tmp_path_factory.mktemp("home")))
    # MLflow counts by itself: its number need not be the encoder's version.
    keep_model_uri(settings, R2.clip.key, "models:/tiny-clip/7")
    keep_model_uri(settings, R2.review.key, "models:/tiny-e5/1")
    return applied(settings, [R1, R2])


def test_every_history_has_a_view_per_purpose_and_version(registry: FeatureStore) -> None:
    views = {v.name: v for v in registry.list_batch_feature_views()}
    for table in HISTORIES:
        mine = [v for v in views.values() if v.tags["table"] == table.name]
        versions = 2 if table.depends_on in {"clip", "fused", "tags"} else 1
        assert len(mine) == max(len(table.purposes), 1) * versions, table.name
        for view in mine:
            described = {f.name: f.description for f in view.features}
            assert described == {c.name: c.comment for c in table.feature_columns}
            assert view.description == table.comment
            assert view.owner
            assert view.ttl is not None
            assert view.ttl.total_seconds() == 0
    assert views[f"{PICTURES}_2"].tags == {
        "table": "user_visual_interest",
        "purpose": "personalisation",
        "encoder": "tiny-clip",
        "encoder_version": "2",
        "release": "r2",
        "mlflow_models": "models:/tiny-clip/7",
    }
    assert views["user_review_interest_personalisation_tiny_e5_1"].tags["release"] == "r1,r2"
    assert views["product_opinions_tiny_heads_1"].tags["mlflow_models"] == "models:/tiny-e5/1"


def test_every_use_has_a_service_per_release_and_a_bare_name(registry: FeatureStore) -> None:
    services = {s.name: s for s in registry.list_feature_services()}
    assert set(services) == {f"{use}{suffix}" for use in USES for suffix in ("", "_r1", "_r2")}
    for name, service in services.items():
        chosen = "r2" if name.endswith("_r2") else "r1"
        assert service.tags["release"] == chosen
        assert service.description
        assert service.owner
        for projection in service.feature_view_projections:
            view = registry.get_feature_view(projection.name)
            assert chosen in view.tags["release"].split(",")
            # Products of a service about users are nobody's data.
            of_user = view.join_keys == ["user_id"]
            assert view.tags.get("purpose", "none") == (service.tags["purpose"] if of_user else "none")
    tags = services["recommendation_r2"].tags
    assert (tags["clip_version"], tags["clip_models"]) == ("2", "models:/tiny-clip/7")
    assert tags["fused_models"] == "models:/tiny-clip/7,models:/tiny-e5/1"
    assert services["recommendation_r1"].tags["clip_models"] == ""
    assert tags["release_parts"] == R2.parts_checksum != R1.parts_checksum


def test_a_release_that_is_no_longer_live_leaves_the_registry(tmp_path: Path) -> None:
    settings = Settings(home=str(tmp_path / "home"))
    applied(settings, [R1, R2], default="r2")
    store = applied(settings, [R1])
    assert not [v.name for v in store.list_batch_feature_views() if "r2" in v.tags["release"]]
    assert {s.tags["release"] for s in store.list_feature_services()} == {"r1"}
    assert f"{PICTURES}_2_delta" not in {s.name for s in store.list_data_sources()}


def test_plain_feast_apply_works_without_spark(tmp_path: Path) -> None:
    settings = Settings(home=str(tmp_path / "home"))
    write_pin(settings, [R1], "r1")
    (tmp_path / "home" / "feast").mkdir()
    environment = os.environ | {
        "MMFS_HOME": settings.under_home(),
        "PYTHONPATH": str(PROJECT_ROOT),
        # A JVM could not be started.
        "JAVA_HOME": str(tmp_path / "no-java"),
        "PATH": str(tmp_path),
    }
    program = "from feast.cli.cli import cli; cli()"
    done = subprocess.run(
        [sys.executable, "-c", program, "apply"],
        cwd=FEATURE_REPO, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    store = feature_store(settings, offline=False)
    assert {s.name for s in store.list_feature_services()} == {f"{u}{s}" for u in USES for s in ("", "_r1")}
    source = store.get_feature_view(f"{PICTURES}_1").batch_source
    assert isinstance(source, DeltaSource)
    assert source.partition["encoder"] == "tiny-clip"


def test_an_unknown_configuration_is_explained(tmp_path: Path) -> None:
    settings = Settings(home=str(tmp_path / "home"), feast_config="other.yaml")
    with pytest.raises(SettingsError, match=r"no other\.yaml in feature_repo/; there: feature_store\.redis\.yaml"):
        feature_store(settings)
