"""A broken, a slightly worse and an equal encoder are each called what they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from encoders.spec import resolve
from pipelines.releases.compare.compare import Comparison, compare
from pipelines.releases.compare.vectors import Encoding
from pipelines.settings import Settings
from tests.comparison.encoder_variants import Change, coarser, noisy_head, shuffled, variant

CASES = [(shuffled, "broken"), (noisy_head, "worse"), (coarser, "equal")]


def compared(settings: Settings, encoding: Encoding, folder: Path, change: Change, seed: int) -> Comparison:
    bundled = resolve("bundled:compact-clip")
    return compare(settings, bundled, resolve(variant(folder, change, seed)), encoding=encoding)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(1, 6))
@pytest.mark.parametrize(("change", "overall"), CASES)
def test_with_five_seeds(
    change: Change, overall: str, seed: int, settings: Settings, encoding: Encoding, tmp_path: Path
) -> None:
    found = compared(settings, encoding, tmp_path, change, seed)
    assert found.verdict.overall == overall, found.verdict.sentence
    drift = {figure.quantity: figure.estimate.value for figure in found.drift}
    assert (drift["cosine, as it is"] > 0.99) == (overall == "equal")
