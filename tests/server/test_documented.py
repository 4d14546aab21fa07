"""What docs/online.md shows is run as it stands there, but for the port and the key."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.server.conftest import KEY, Served

_DOCS = Path(__file__).resolve().parents[2] / "docs" / "online.md"
_CURL = re.compile(r"^curl .*?(?:[^\\]$)", re.MULTILINE | re.DOTALL)
EXAMPLES = _CURL.findall(_DOCS.read_text(encoding="utf-8"))


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl")
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda text: text.split()[1].rpartition("/")[2])
def test_the_examples_are_answered(served: Served, example: str) -> None:
    here = example.replace("localhost:6566", f"127.0.0.1:{served.port}").replace("a-long-secret-key", KEY)
    told = subprocess.run(here, shell=True, check=True, capture_output=True, text=True).stdout
    answer = json.loads(told)
    assert "error" not in answer, told
    assert (answer.get("release") or answer["metadata"]["release"]) == "r1"


def test_there_is_an_example_of_every_question() -> None:
    assert {route for text in EXAMPLES for route in re.findall(r"localhost:6566(/\S+)", text)} == {
        "/get-online-features",
        "/get-ranking-features",
    }
