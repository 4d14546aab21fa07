"""The doctor finds what disagrees with the pin, mends it, and tells what it cannot mend."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from pipelines import cli
from pipelines.errors import ReleaseDamagedError
from pipelines.governance.runs import Run
from pipelines.releases.doctor import examine, repair
from pipelines.releases.files import write_file
from pipelines.releases.journal import Journal, clear_journal, write_journal
from pipelines.releases.mlflow_client import mlflow_client
from pipelines.releases.model_uris import model_uris
from pipelines.releases.pin import write_pin
from pipelines.releases.registry import register_encoder, register_release
from pipelines.serving.online import read_features
from pipelines.serving.progress import online_store_id
from pipelines.serving.repo import apply, feature_store
from pipelines.settings import Settings
from pipelines.tables.features import USER_VISUAL_INTEREST
from pipelines.tables.governance import MATERIALISED
from tests.hand_made_home import tiny_release
from tests.online.online_home import ACTIVITY, PICTURES, OnlineHome
from tests.point_in_time.delta_by_hand import commit

R1, R2 = tiny_release("r1"), tiny_release("r2", "2")
FILLED = datetime(2026, 3, 2, tzinfo=UTC)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, home_with_mlflow: Callable[[Path], Settings]) -> OnlineHome:
    settings = home_with_mlflow(tmp_path_factory.mktemp("doctor") / "home")
    register_release(tiny_release("r1"), settings)
    register_encoder(R2.clip, settings)
    home = OnlineHome(settings, [R1, R2]).furnish()
    row = {"view": [ACTIVITY], "online_store": [online_store_id(home.feast)], "written_at": [FILLED]}
    types = {"view": pa.string(), "online_store": pa.string(), "written_at": pa.timestamp("us", "UTC")}
    columns = {name: pa.array(values, types[name]) for name, values in row.items()}
    commit(Path(MATERIALISED.location(settings.under_home())), pa.table(columns))
    home.keeper.set_mark(FILLED.isoformat())
    return home


@pytest.fixture
def settings(home: OnlineHome) -> Settings:
    assert examine(home.settings) == []
    return home.settings


def said(settings: Settings) -> str:
    return "\n".join(f"{finding.where}: {finding.found}" for finding in examine(settings))


def test_a_pin_that_was_moved_by_hand_is_followed(settings: Settings) -> None:
    write_pin(settings, [R1, R2], default="r2")
    found = said(settings)
    assert "Feast's registry: service recommendation is of r1, expected r2" in found
    assert "MLflow: models:/tiny-clip/2 (tiny-clip/2) is of the default release and is not called champion" in found
    # Views are the same, and so is what is named with its release.
    assert "view" not in found.replace("MLflow", "")
    assert "recommendation_r1" not in found
    repair(settings, examine(settings))
    assert examine(settings) == []
    write_pin(settings, [R1, R2], default="r1")
    repair(settings, examine(settings))
    assert examine(settings) == []


def test_a_release_that_is_gone_from_the_pin_leaves_the_registry(settings: Settings) -> None:
    write_pin(settings, [R1], default="r1")
    found = said(settings)
    assert "service recommendation_r2 is of no live release" in found
    assert "view product_vectors_tiny_clip_2 is of no live release" in found
    repair(settings, examine(settings))
    assert examine(settings) == []
    write_pin(settings, [R1, R2], default="r1")
    assert "view product_vectors_tiny_clip_2 is not registered" in said(settings)
    repair(settings, examine(settings))


def test_aliases_and_versions_in_mlflow_are_brought_back(settings: Settings) -> None:
    with mlflow_client(settings) as client:
        client.set_registered_model_alias("tiny-clip", "champion", "2")
        client.delete_model_version("tiny-e5", "1")
    other = dataclasses.replace(R1.clip, name="other-clip")
    with mlflow_client(settings) as client:
        register_encoder(other, settings)
        client.set_registered_model_alias("other-clip", "champion", "1")
    found = said(settings)
    assert "models:/tiny-clip/1 (tiny-clip/1) is of the default release and is not called champion" in found
    assert "encoder tiny-e5/1 of release r1 is not registered" in found
    assert "models:/other-clip/1 is called champion, which release r1 does not have" in found
    repair(settings, examine(settings))
    # A deleted number is not given twice, and the definitions name the new one.
    assert model_uris(settings)["tiny-e5/1"] == "models:/tiny-e5/2"
    assert "view user_review_interest_personalisation_tiny_e5_1 has other tags: mlflow_models" in said(settings)
    repair(settings, examine(settings))
    assert examine(settings) == []


def test_other_weights_under_the_same_version_are_told(settings: Settings) -> None:
    changed = dataclasses.replace(R1, clip=dataclasses.replace(R1.clip, checksum="sha256:1"), name="r9")
    write_pin(settings, [changed], default="r9")
    assert "registered as tiny-clip/1 with other weights or preprocessing than release r9 has" in said(settings)
    write_pin(settings, [R1, R2], default="r1")


def test_an_emptied_or_restored_online_store_is_told(settings: Settings, home: OnlineHome) -> None:
    home.keeper.set_mark("2020-01-01T00:00:00+00:00")
    [found] = examine(settings)
    assert (found.where, found.cure) == ("online store", "materialise")
    assert "its mark is 2020-01-01T00:00:00+00:00" in found.found
    home.keeper.set_mark(FILLED.isoformat())


def test_a_release_without_its_rows_online_is_told(settings: Settings, home: OnlineHome) -> None:
    location = Path(USER_VISUAL_INTEREST.location(settings.under_home()))
    of_r2 = {"encoder": "tiny-clip", "encoder_version": "2"}
    commit(location, pa.table({"user_id": ["ann"], "purpose": ["personalisation"]}), partition=of_r2)
    [found] = examine(settings)
    assert (found.where, found.cure) == ("online store", "materialise")
    missing = PICTURES.replace("tiny_clip_1", "tiny_clip_2")
    assert missing in found.found
    assert PICTURES not in found.found
    home.feast = feature_store(settings, offline=False)
    home.write(missing, "ann", weight_7d=2.5)


def test_mlflow_that_is_down_is_told_and_not_needed(settings: Settings) -> None:
    for uri in ("http://127.0.0.1:9", "postgresql+psycopg://mlflow:secret@127.0.0.1:9/mlflow"):
        down = settings.model_copy(update={"mlflow_tracking_uri": uri})
        [found] = examine(down)
        assert (found.where, found.cure) == ("MLflow", None)
        assert "serving does not need it" in found.advice
        assert "secret" not in found.found
        assert read_features(down, "ann").release == "r1"
        apply(down, Run(down, FILLED, "x"))


def test_a_pending_promotion_is_left_alone(settings: Settings) -> None:
    write_journal(settings, Journal("r3", "r1", None, {}))
    [found] = examine(settings)
    assert (found.where, found.cure) == ("promotion", None)
    clear_journal(settings)


def test_a_damaged_manifest_cannot_be_mended(settings: Settings) -> None:
    write_file(settings, "r2.json", R2.to_json().replace("sha256:0", "sha256:5"))
    with pytest.raises(ReleaseDamagedError, match="not the one that was pinned"):
        examine(settings)
    write_file(settings, "r2.json", R2.to_json())


def test_lost_or_changed_files_of_an_encoder_are_told(
    tmp_path: Path, home_with_mlflow: Callable[[Path], Settings]
) -> None:
    settings = home_with_mlflow(tmp_path / "home")
    lost = dataclasses.replace(R1.clip, uri=f"open-clip:{tmp_path / 'gone'}")
    OnlineHome(settings, [dataclasses.replace(R1, clip=lost)])
    assert "encoder: encoder tiny-clip/1: unknown encoder" in said(settings)


def test_the_command_ends_in_code_1_while_something_is_left(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_pin(settings, [R1, R2], default="r2")
    for more, code, text in (([], 1, "expected r2"), (["--repair"], 0, "everything follows the pin"), ([], 0, "")):
        monkeypatch.setattr("sys.argv", ["mmfs", "doctor", "--home", settings.home, *more])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert ended.value.code == code
        assert text in capsys.readouterr().out
    write_pin(settings, [R1, R2], default="r1")
    repair(settings, examine(settings))
