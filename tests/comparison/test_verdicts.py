"""A broken, a slightly worse and an equal encoder are each called what they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from encoders.spec import resolve
from pipelines.releases.compare.compare import compare
from pipelines.releases.compare.vectors import Encoding
from pipelines.settings import Settings
from tests.comparison.drawn_home import drawn_home
from tests.comparison.encoder_variants import Change, coarser, noisy_head, shuffled, variant

# In a smaller shop chance alone makes a shuffled encoder look worse instead of broken, or a noisy one broken.
USERS, DAYS = 240, 60
CASES = [(shuffled, "broken"), (noisy_head, "worse"), (coarser, "equal")]


@pytest.fixture(scope="module")
def large_shop(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return drawn_home(tmp_path_factory.mktemp("large"), USERS, DAYS)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(1, 6))
@pytest.mark.parametrize(("change", "overall"), CASES)
def test_with_five_seeds(
    change: Change, overall: str, seed: int, large_shop: Settings, encoding: Encoding, tmp_path: Path
) -> None:
    encoders = (resolve(uri) for uri in ("bundled:compact-clip", variant(tmp_path, change, seed)))
    found = compare(large_shop, *encoders, encoding=encoding)
    assert found.verdict.overall == overall, found.verdict.sentence
    drift = {figure.quantity: figure.estimate.value for figure in found.drift}
    assert (drift["cosine, as it is"] > 0.99) == (overall == "equal")
