from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipelines.errors import HomeEmptyError, HomeError, HomeVersionError
from pipelines.governance.home import HOME_VERSION, MARKER, open_home
from pipelines.settings import load_settings


def test_a_home_is_made_once_and_opened_again(tmp_path: Path) -> None:
    settings = load_settings(home=str(tmp_path / "deep" / "home"))
    made = open_home(settings, create=True)
    assert made.version == HOME_VERSION
    before = (tmp_path / "deep" / "home" / MARKER).read_bytes()
    assert open_home(settings, create=False) == made == open_home(settings, create=True)
    assert (tmp_path / "deep" / "home" / MARKER).read_bytes() == before


def test_reading_an_empty_home_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(HomeEmptyError, match="Run `mmfs run DROP` first"):
        open_home(load_settings(home=str(tmp_path)), create=False)
    assert list(tmp_path.iterdir()) == []


def test_a_newer_home_is_refused(tmp_path: Path) -> None:
    (tmp_path / MARKER).write_text(json.dumps({"version": HOME_VERSION + 1}))
    with pytest.raises(HomeVersionError, match="newer version"):
        open_home(load_settings(home=str(tmp_path)), create=True)


@pytest.mark.parametrize("text", ["", "[]", '{"version": "x"}'])
def test_a_damaged_marker_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / MARKER).write_text(text)
    with pytest.raises(HomeError, match="damaged"):
        open_home(load_settings(home=str(tmp_path)), create=True)


def test_a_home_that_is_a_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("x")
    with pytest.raises(HomeError, match="cannot be used"):
        open_home(load_settings(home=str(tmp_path / "home")), create=True)
