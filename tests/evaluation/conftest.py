"""A hand-made truth and home."""

from pathlib import Path

import pytest

from tests.evaluation.planted import Planted


@pytest.fixture
def planted(tmp_path: Path) -> Planted:
    return Planted(tmp_path)
