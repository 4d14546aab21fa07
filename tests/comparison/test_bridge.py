"""A bridge undoes a turn of the space, finds nothing in noise, and is written without pickle."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipelines.errors import ReleaseFileError, SettingsError
from pipelines.evaluation.prototypes import Floats
from pipelines.releases.bridge import KINDS, Bridge, apply
from pipelines.releases.compare.build_bridge import build_bridge
from pipelines.releases.compare.vectors import Encoding
from pipelines.settings import Settings
from tests.comparison.encoder_variants import noisy_head, variant

DIMENSIONS = 24


def units(rows: Floats) -> Floats:
    found: Floats = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return found


@pytest.fixture
def old() -> Floats:
    """Vectors that all have something in common, as an encoder's have."""
    random = np.random.default_rng(1)
    return units(random.normal(size=(600, DIMENSIONS)) * np.geomspace(2, 0.2, DIMENSIONS) + 0.8)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dimensions", [DIMENSIONS, 40])
def test_a_turned_space_is_turned_back(kind: str, dimensions: int, old: Floats) -> None:
    random = np.random.default_rng(2)
    turn = np.linalg.qr(random.normal(size=(dimensions, dimensions)))[0][:DIMENSIONS]
    new = units(old @ turn + random.normal(size=(len(old), dimensions)) * 0.01)
    found = apply(*KINDS[kind](new[:400], old[:400]), new[400:])
    assert (found * old[400:]).sum(axis=1).mean() > 0.98
    assert np.linalg.norm(found, axis=1) == pytest.approx(1.0)


def test_a_stretched_and_moved_space_needs_the_affine_map(old: Floats) -> None:
    random = np.random.default_rng(3)
    new = units(old @ random.normal(size=(DIMENSIONS, DIMENSIONS)) + 0.5)
    likeness = {
        kind: (apply(*fit(new[:400], old[:400]), new[400:]) * old[400:]).sum(axis=1).mean()
        for kind, fit in KINDS.items()
    }
    assert likeness["low-rank affine"] > 0.98 > 0.95 > likeness["orthogonal"]
    noise = units(random.normal(size=old.shape))
    assert (apply(*KINDS["orthogonal"](noise[:400], old[:400]), noise[400:]) * old[400:]).sum(axis=1).mean() < 0.2


@pytest.mark.soak
def test_a_bridge_of_encoders_is_measured_and_written(settings: Settings, encoding: Encoding, tmp_path: Path) -> None:
    noisy, bundled = variant(tmp_path, noisy_head, 1), "bundled:compact-clip"
    path = tmp_path / "made" / "bridge.npz"
    made, figures = build_bridge(settings, noisy, bundled, path, encoding=encoding)
    values = {figure.part: figure.estimate.value for figure in figures}
    assert next(iter(values)) == "old queries, old catalogue"
    assert {f"new queries, {kind} map, old catalogue" for kind in KINDS} < set(values)
    assert all(0 <= value <= 1 for value in values.values())
    again = Bridge.read(path)
    vectors = np.random.default_rng(4).normal(size=(5, 512))
    np.testing.assert_array_equal(again.mapped(vectors), made.mapped(vectors))
    assert (again.new, again.old, again.kind) == ("noisy-head-1/1", "compact-clip/1", made.kind)
    with pytest.raises(SettingsError, match="no kind 'cubic'"):
        build_bridge(settings, noisy, bundled, path, "cubic", encoding=encoding)
    (tmp_path / "other").write_text("no archive")
    with pytest.raises(ReleaseFileError, match="no bridge"):
        Bridge.read(tmp_path / "other")
