from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.environment import java
from pipelines.environment.java import JavaNotFoundError, find_java, inspect_java, parse_version


def fake_java(home: Path, version: str) -> Path:
    """An executable that reports a version as Java does, on standard error."""
    executable = home / "bin" / "java"
    executable.parent.mkdir(parents=True)
    executable.write_text(f"#!/bin/sh\nprintf '    java.home = {home}\\n    java.version = {version}\\n' >&2\n")
    executable.chmod(0o755)
    return executable


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without any Java; its PATH is the folder `path/bin`."""
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "path" / "bin"))
    monkeypatch.setattr(java, "SYSTEM_FOLDERS", (tmp_path / "system",))
    return tmp_path


@pytest.mark.parametrize(
    ("text", "version"),
    [("17.0.15", 17), ("21-ea", 21), ("25", 25), ("1.8.0_402", 8), ("11.0.2", 11), ("", None), ("unknown", None)],
)
def test_parse_version(text: str, version: int | None) -> None:
    assert parse_version(text) == version


def test_inspect_reads_home_and_version(tmp_path: Path) -> None:
    assert inspect_java(fake_java(tmp_path, "21.0.1")) == (tmp_path, 21)


def test_inspect_of_something_that_does_not_run(tmp_path: Path) -> None:
    broken = fake_java(tmp_path, "21")
    broken.write_text("#!/bin/sh\nexit 1\n")
    assert inspect_java(broken) is None
    assert inspect_java(tmp_path / "absent") is None


def test_java_home_comes_before_path(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_java(machine / "path", "21")
    fake_java(machine / "home", "17.0.1")
    monkeypatch.setenv("JAVA_HOME", str(machine / "home"))
    assert find_java(machine / "cache") == machine / "home"


def test_an_old_java_home_gives_way_to_path(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_java(machine / "home", "1.8.0_402")
    fake_java(machine / "path", "21")
    fake_java(machine / "cache" / "java" / "jre", "17.0.9")
    monkeypatch.setenv("JAVA_HOME", str(machine / "home"))
    assert find_java(machine / "cache") == machine / "path"


def test_the_cache_comes_before_the_system(machine: Path) -> None:
    fake_java(machine / "system" / "jre", "21")
    assert find_java(machine / "cache") == machine / "system" / "jre"
    fake_java(machine / "cache" / "java" / "jre", "17.0.9")
    assert find_java(machine / "cache") == machine / "cache" / "java" / "jre"


def test_none_new_enough_is_one_sentence_that_names_what_was_found(machine: Path) -> None:
    fake_java(machine / "path", "11.0.2")
    with pytest.raises(JavaNotFoundError, match=r"Java 17 or newer .* is Java 11") as error:
        find_java(machine / "cache")
    assert "\n" not in str(error.value)


def test_ensure_installs_once_where_there_is_none(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Path] = []

    def install(cache_dir: Path) -> None:
        calls.append(cache_dir)
        fake_java(cache_dir / "java" / "jre", "17.0.9")

    monkeypatch.setattr(java, "_install_with_apt", lambda _: "no apt-get")
    monkeypatch.setattr(java, "_install_into_cache", install)
    for _ in range(2):
        assert java.ensure_java(machine / "cache") == machine / "cache" / "java" / "jre"
    assert calls == [machine / "cache"]


def test_ensure_says_why_nothing_could_be_installed(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(java, "_install_into_cache", lambda _: "no download either: offline")
    with pytest.raises(JavaNotFoundError, match=r"no apt-get; no download either: offline"):
        java.ensure_java(machine / "cache")
