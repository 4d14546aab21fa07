from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.environment import jars
from pipelines.environment.jars import DeltaJarsError, ensure_jars, local_jars
from tests.conftest import SparkSettings

POM = (
    "<project><modelVersion>4.0.0</modelVersion><groupId>io.delta</groupId>"
    "<artifactId>{name}</artifactId><version>{number}</version></project>"
)
UNREACHABLE = "http://127.0.0.1:9/mirror"


def test_missing_jars_say_how_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(DeltaJarsError, match="make setup"):
        local_jars(tmp_path)


def test_present_jars_are_not_fetched_again(spark_settings: SparkSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jars, "_retrieve", lambda *_: pytest.fail("fetched again"))
    assert ensure_jars(spark_settings.cache_dir) == local_jars(spark_settings.cache_dir)


def test_an_unreachable_mirror_is_one_sentence_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    with pytest.raises(DeltaJarsError, match=r"could not be fetched from http.*MMFS_MAVEN_MIRROR") as error:
        ensure_jars(tmp_path / "cache", mirror=UNREACHABLE)
    assert "\n" not in str(error.value)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_mirror_is_a_folder_in_maven_layout(
    spark_settings: SparkSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for (name, number), jar in zip(jars.artefacts().items(), local_jars(spark_settings.cache_dir), strict=True):
        folder = tmp_path / "mirror" / "io" / "delta" / name / number
        folder.mkdir(parents=True)
        (folder / jar.name).write_bytes(jar.read_bytes())
        (folder / f"{name}-{number}.pom").write_text(POM.format(name=name, number=number))
    found = ensure_jars(tmp_path / "cache", mirror=(tmp_path / "mirror").as_uri())
    assert [jar.name for jar in found] == [jar.name for jar in local_jars(spark_settings.cache_dir)]
    assert [jar.stat().st_size > 0 for jar in found] == [True, True]


def test_absent_ivy_settings_are_named(tmp_path: Path) -> None:
    with pytest.raises(DeltaJarsError, match="MMFS_IVY_SETTINGS names"):
        ensure_jars(tmp_path, ivy_settings=tmp_path / "absent.xml")
