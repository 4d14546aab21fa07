"""A release goes from one home to another as one file: whole, checked, and never run."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from encoders.spec import EncoderSpec, resolve
from pipelines import cli
from pipelines.errors import EncoderMismatchError, ReleaseFileError, UnknownReleaseError
from pipelines.governance.home import open_home
from pipelines.releases.candidates import candidate
from pipelines.releases.carrying import export_release, import_release
from pipelines.releases.heads import named_heads, uri_of
from pipelines.releases.inventory import newest_metrics
from pipelines.releases.manifest import Release
from pipelines.releases.mlflow_client import mlflow_client
from pipelines.releases.pin import any_release, read_pin, write_pin
from pipelines.releases.registry import register_release, registered_encoders
from pipelines.settings import Settings
from tests.hand_made_home import tiny_release

DIMENSIONS = 4


def pictures(folder: Path, seed: int) -> EncoderSpec:
    """A folder in open_clip's format, with weights that are never loaded here."""
    folder.mkdir()
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": {"embed_dim": DIMENSIONS}}))
    save_file({"w": np.full(3, seed, np.float32)}, folder / "open_clip_model.safetensors")
    return resolve(f"open-clip:{folder}")


def texts(folder: Path) -> EncoderSpec:
    """A folder as sentence-transformers saves it, one of whose modules has no files."""
    (folder / "1_Normalize").mkdir(parents=True)
    (folder / "modules.json").write_text(json.dumps([{"path": ""}, {"path": "1_Normalize"}]))
    (folder / "config.json").write_text(json.dumps({"hidden_size": DIMENSIONS}))
    save_file({"w": np.ones(2, np.float32)}, folder / "model.safetensors")
    return resolve(f"sentence-transformers:{folder}")


@pytest.fixture
def dev(tmp_path: Path, home_with_mlflow: Callable[[Path], Settings]) -> Settings:
    """Release r2 stands on two folders; of its picture encoder a figure is known."""
    settings = home_with_mlflow(tmp_path / "dev")
    open_home(settings, create=True)
    (tmp_path / "models").mkdir()
    clip = dataclasses.replace(pictures(tmp_path / "models" / "tuned", 1), version="2", licence="MIT")
    release = Release("r2", clip, texts(tmp_path / "models" / "words"))
    write_pin(settings, [release], default="r2")
    encoder = register_release(release, settings)["clip"]
    with mlflow_client(settings) as client:
        run = client.create_run("0").info.run_id
        client.log_metric(run, "title_to_picture/reciprocal rank", 0.5, model_id=encoder.model_id)
    return settings


@pytest.fixture
def prod(tmp_path: Path, home_with_mlflow: Callable[[Path], Settings]) -> Settings:
    settings = home_with_mlflow(tmp_path / "prod")
    open_home(settings, create=True)
    write_pin(settings, [tiny_release("r1")], default="r1")
    return settings


def test_a_release_arrives_and_waits_to_be_promoted(dev: Settings, prod: Settings, tmp_path: Path) -> None:
    export_release(dev, "r2", tmp_path / "r2.release")
    shutil.rmtree(tmp_path / "models")
    found = import_release(prod, tmp_path / "r2.release")
    assert found.new == ("models:/tuned/1", "models:/words/1")
    arrived = candidate("models:/tuned/1", prod)
    # Its own version and facts, its files in the new home.
    assert (arrived.key, arrived.checksum) == ("tuned/2", found.release.clip.checksum)
    assert Path(arrived.uri.removeprefix("open-clip:")).parent == Path(prod.under_home("encoders"))
    words = Path(candidate("models:/words/1", prod).uri.removeprefix("sentence-transformers:"))
    assert (words / "1_Normalize").is_dir()
    assert not list(words.rglob(".keep"))
    assert newest_metrics(prod, found.encoders["clip"].model_id) == {"title_to_picture/reciprocal rank": 0.5}
    assert found.encoders["clip"].facts["licence"] == "MIT"
    assert read_pin(prod).default == "r1"
    # Once more changes nothing.
    before = registered_encoders(prod)
    assert import_release(prod, tmp_path / "r2.release") == found
    assert registered_encoders(prod) == before
    with mlflow_client(prod) as client:
        runs = client.search_runs(["0", "1", "2"], "tags.`mmfs.imported.release` = 'r2'")
    assert len(runs) == 2
    # In its own home there is nothing to promote.
    assert import_release(dev, tmp_path / "r2.release").new == ()


def test_heads_travel_with_their_release(dev: Settings, prod: Settings, tmp_path: Path) -> None:
    standing = any_release(dev, "r2")
    weights = tmp_path / "opinions.safetensors"
    metadata = {"encoder": standing.review.key, "encoder_checksum": standing.review.checksum}
    save_file({"review.weight": np.ones((1, DIMENSIONS), np.float32)}, weights, metadata)
    heads = named_heads(f"heads:{weights}", dev)
    heads.require_on(standing.review)
    write_pin(dev, [standing, dataclasses.replace(standing, name="r3", heads=heads)], default="r3")
    taken = dataclasses.replace(tiny_release("r2"), heads=dataclasses.replace(heads, checksum="sha256:other"))
    write_pin(prod, [any_release(prod, "r1"), taken], default="r1")
    export_release(dev, "r3", tmp_path / "r3.release")
    weights.unlink()
    found = import_release(prod, tmp_path / "r3.release")
    assert found.heads is not None
    # Its number is taken here by others.
    assert (found.heads.version, found.heads.checksum) == (str(int(heads.version) + 1), heads.checksum)
    assert found.new[-1] == uri_of(found.heads)
    assert named_heads(found.new[-1], prod) == found.heads
    with pytest.raises(EncoderMismatchError, match=rf"heads {heads.key}: no heads at"):
        export_release(dev, "r3", tmp_path / "again.release")


def test_a_version_that_is_taken_gets_the_next_number(dev: Settings, prod: Settings, tmp_path: Path) -> None:
    (tmp_path / "others").mkdir()
    other = dataclasses.replace(pictures(tmp_path / "others" / "tuned", 7), version="2")
    register_release(dataclasses.replace(tiny_release("r1"), clip=other), prod)
    export_release(dev, "r2", tmp_path / "r2.release")
    found = import_release(prod, tmp_path / "r2.release", tmp_path / "shared")
    assert found.encoders["clip"].version == "3"
    assert len(list((tmp_path / "shared").iterdir())) == 2


def test_what_cannot_be_carried_is_said(dev: Settings, tmp_path: Path) -> None:
    with pytest.raises(UnknownReleaseError, match="never was a release 'r9'"):
        export_release(dev, "r9", tmp_path / "out")
    save_file({"w": np.zeros(3, np.float32)}, tmp_path / "models" / "tuned" / "open_clip_model.safetensors")
    with pytest.raises(EncoderMismatchError, match="restore its files"):
        export_release(dev, "r2", tmp_path / "out")
    shutil.rmtree(tmp_path / "models" / "tuned")
    with pytest.raises(EncoderMismatchError, match="no such directory"):
        export_release(dev, "r2", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def rewritten(path: Path, change: Callable[[dict[str, bytes]], None]) -> Path:
    """A copy with other members."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    copy = path.with_name(f"changed-{time.monotonic_ns()}")
    with zipfile.ZipFile(copy, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return copy


def listed(members: dict[str, bytes], name: str, content: bytes) -> None:
    """Put a member in and into the contents, as somebody would who means it."""
    members[name] = content
    values = json.loads(members["contents.json"])
    values["members"][name] = [len(content), f"sha256:{hashlib.sha256(content).hexdigest()}"]
    members["contents.json"] = json.dumps(values).encode()


def test_a_file_that_was_changed_is_refused_and_leaves_nothing(dev: Settings, prod: Settings, tmp_path: Path) -> None:
    file = tmp_path / "r2.release"
    export_release(dev, "r2", file)
    weights = "encoders/clip/open_clip_model.safetensors"

    def flip(members: dict[str, bytes]) -> None:
        members[weights] = members[weights][:-1] + b"\x01"

    def other_weights(members: dict[str, bytes]) -> None:
        listed(members, weights, members[weights] + b" ")

    def grown(members: dict[str, bytes]) -> None:
        members[weights] += b"\x00" * 1000

    def code(members: dict[str, bytes]) -> None:
        listed(members, "encoders/clip/setup.py", b"raise SystemExit")

    def outside(members: dict[str, bytes]) -> None:
        listed(members, "encoders/clip/../../../escaped.json", b"{}")

    def unlisted(members: dict[str, bytes]) -> None:
        members["encoders/clip/more.json"] = b"{}"

    def newer(members: dict[str, bytes]) -> None:
        values = json.loads(members["contents.json"]) | {"format": 99}
        members["contents.json"] = json.dumps(values).encode()

    def lacking(members: dict[str, bytes]) -> None:
        del members["figures.json"]

    cases: list[tuple[Callable[[dict[str, bytes]], None], type[Exception], str]] = [
        (flip, ReleaseFileError, "open_clip_model.safetensors was changed"),
        (other_weights, EncoderMismatchError, "the release says"),
        (grown, ReleaseFileError, "was changed"),
        (code, ReleaseFileError, "neither weights nor configuration"),
        (outside, ReleaseFileError, "no plain name"),
        (unlisted, ReleaseFileError, "does not hold what its contents say"),
        (newer, ReleaseFileError, "newer version"),
        (lacking, ReleaseFileError, "does not hold what its contents say"),
    ]
    for change, error, message in cases:
        with pytest.raises(error, match=message):
            import_release(prod, rewritten(file, change), tmp_path / "encoders")
        shutil.rmtree(tmp_path / "encoders", ignore_errors=True)
    assert registered_encoders(prod) == []
    (tmp_path / "text").write_text("no zip")
    for path, message in ((tmp_path / "text", "no release file, or damaged"), (tmp_path / "gone", "there is no")):
        with pytest.raises(ReleaseFileError, match=message):
            import_release(prod, path)


def test_the_commands_say_what_comes_next(
    dev: Settings, prod: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = str(tmp_path / "r2.release")
    for home, words in ((dev, ["export", "r2", file]), (prod, ["import", file])):
        monkeypatch.setattr("sys.argv", ["mmfs", "releases", *words, "--home", home.home])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert ended.value.code == 0
    said = capsys.readouterr().out
    assert f"next: mmfs releases promote models:/tuned/1 models:/words/1 --home {prod.home}" in said
