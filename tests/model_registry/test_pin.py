"""The pin is the one authority on live releases; readers see the old state or the new one."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from encoders.spec import EncoderSpec
from pipelines.errors import HomeEmptyError, PipelineError, ReleaseDamagedError, UnknownReleaseError
from pipelines.releases.manifest import Release
from pipelines.releases.pin import default_release, live_release, live_releases, read_pin, write_pin
from pipelines.settings import PROJECT_ROOT, Settings, load_settings


def _release(name: str, version: str = "1") -> Release:
    spec = EncoderSpec("compact-clip", version, "bundled:compact-clip", ("image", "text"), 512, "sha256:0", "MIT")
    return Release(name, clip=spec, review=dataclasses.replace(spec, name="e5-small", dimensions=384))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(home=str(tmp_path / "home"))


def test_an_empty_home_has_no_release(settings: Settings) -> None:
    with pytest.raises(HomeEmptyError, match="has no release yet"):
        read_pin(settings)


def test_live_releases_come_back_as_written(settings: Settings) -> None:
    r1, r2 = _release("r1"), _release("r2", "2")
    write_pin(settings, [r1, r2], default="r2")
    assert live_releases(settings) == [r1, r2]
    assert default_release(settings) == live_release(settings, None) == r2
    assert live_release(settings, "r1") == r1
    with pytest.raises(UnknownReleaseError, match="'r3' is not live; live: r1, r2"):
        live_release(settings, "r3")


def test_going_back_gives_the_same_bytes(settings: Settings) -> None:
    r1, r2 = _release("r1"), _release("r2", "2")
    write_pin(settings, [r1], default="r1")
    folder = Path(settings.under_home("releases"))
    before = {p.name: p.read_bytes() for p in folder.iterdir()}
    write_pin(settings, [r1, r2], default="r2")
    write_pin(settings, [r1], default="r1")
    assert {p.name: p.read_bytes() for p in folder.iterdir() if p.name in before} == before


def test_a_manifest_never_changes(settings: Settings) -> None:
    write_pin(settings, [_release("r1")], default="r1")
    with pytest.raises(ReleaseDamagedError, match="exists with other content"):
        write_pin(settings, [_release("r1", "2")], default="r1")
    manifest = Path(settings.under_home("releases", "r1.json"))
    manifest.write_text(_release("r1", "9").to_json())
    with pytest.raises(ReleaseDamagedError, match="not the one that was pinned"):
        default_release(settings)
    manifest.unlink()
    with pytest.raises(ReleaseDamagedError, match="missing"):
        default_release(settings)


def test_at_most_three_are_live_and_the_default_is_one(settings: Settings) -> None:
    releases = [_release(f"r{i}") for i in range(1, 5)]
    with pytest.raises(ReleaseDamagedError, match="at most 3 can be"):
        write_pin(settings, releases, default="r1")
    with pytest.raises(ReleaseDamagedError, match="is not live"):
        write_pin(settings, releases[:2], default="r3")
    assert not Path(settings.under_home("releases")).exists()


def test_readers_never_see_half_a_pin(settings: Settings) -> None:
    releases = [_release("r1"), _release("r2", "2"), _release("r3", "3")]
    write_pin(settings, releases[:1], default="r1")
    stop = threading.Event()
    seen: set[str] = set()
    failures: list[PipelineError] = []

    def read() -> None:
        while not stop.is_set():
            try:
                seen.add(default_release(settings).name)
            except PipelineError as error:
                failures.append(error)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for turn in range(60):
        kept = releases[: turn % 3 + 1]
        write_pin(settings, kept, default=kept[-1].name)
    stop.set()
    for reader in readers:
        reader.join()
    assert not failures
    assert len(seen) > 1
    assert not list(Path(settings.under_home("releases")).glob(".*"))


def test_a_failed_write_leaves_the_old_pin(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    write_pin(settings, [_release("r1")], default="r1")

    def full_disk(self: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", full_disk)
        with pytest.raises(OSError, match="No space left"):
            write_pin(settings, [_release("r1"), _release("r2", "2")], default="r2")
    assert default_release(settings).name == "r1"
    assert not list(Path(settings.under_home("releases")).glob(".*"))


def test_a_remote_home_goes_through_its_file_system() -> None:
    settings = load_settings(home="memory://shop/home")
    with pytest.raises(HomeEmptyError):
        read_pin(settings)
    write_pin(settings, [_release("r1")], default="r1")
    assert default_release(settings) == _release("r1")


def test_the_readers_need_neither_spark_nor_torch_nor_mlflow() -> None:
    code = (
        "import sys, pipelines.releases.pin, pipelines.releases.manifest\n"
        "print(sorted({'pyspark', 'torch', 'mlflow', 'delta'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT_ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
