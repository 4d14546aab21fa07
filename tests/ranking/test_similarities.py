"""What a similarity means, to the number: a change of meaning without a new version fails here."""

from __future__ import annotations

import numpy as np
import pytest

from pipelines.ranking.similarities import (
    HISTOGRAM,
    INTERESTS,
    NAMES,
    PICTURE,
    TIERS,
    VERSION,
    Similarities,
    Taste,
    similarities,
    unit,
)

VISUAL, TEXT = ("user_visual_interest", "mean_7d"), ("user_text_interest", "mean_30d")
NAN = float("nan")


def vectors(*rows: list[float]) -> np.ndarray:
    return np.array(rows, np.float32)


def _units(products: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: unit(rows) for name, rows in products.items()}


def column(found: Similarities, name: str) -> list[float]:
    values: list[float] = found.values[:, NAMES.index(name)].tolist()
    return values


def test_golden_values_of_version_1() -> None:
    taste = Taste(
        {VISUAL: np.array([3, 4], np.float32), TEXT: np.array([0, 2], np.float32)},
        medoids=vectors([1, 0], [0, 5], [NAN, NAN]),
        weights=np.array([0.7, 0.2, 0.1], np.float32),
        last=vectors([1, 0], [0, 1], [-1, 0], [NAN, NAN], [0.6, 0.8]),
    )
    products = {PICTURE: vectors([2, 0], [0, 1], [NAN, NAN]), "text_vector": vectors([NAN, NAN], [0, -1], [1, 1])}
    found = similarities(taste, _units(products), 3)
    assert VERSION == 1
    told = {name: column(found, name) for name in NAMES if not np.isnan(column(found, name)).all()}
    assert told == {
        "picture_7d_cosine": pytest.approx([0.6, 0.8, NAN], nan_ok=True, abs=1e-6),
        "text_30d_cosine": pytest.approx([NAN, -1.0, np.sqrt(0.5)], nan_ok=True, abs=1e-6),
        "best_medoid_cosine": pytest.approx([1, 1, NAN], nan_ok=True, abs=1e-6),
        "best_medoid_weight": pytest.approx([0.7, 0.2, NAN], nan_ok=True, abs=1e-6),
        "last_products_max_cosine": pytest.approx([1, 1, NAN], nan_ok=True, abs=1e-6),
    }
    # Tiers of 0.2 from -1: cosines 1, 0, -1, 0.6 and 0, 1, 0, 0.8; the upper end belongs to the last tier.
    assert found.histogram[:2].tolist() == [[1, 0, 0, 0, 0, 1, 0, 0, 1, 1], [0, 0, 0, 0, 0, 2, 0, 0, 0, 2]]
    assert np.isnan(found.histogram[2]).all()
    assert (HISTOGRAM, TIERS, len(NAMES), len(INTERESTS)) == ("last_products_histogram", 10, 13, 10)


def test_what_is_not_known_is_not_zero() -> None:
    pictures = {PICTURE: vectors([1, 0], [0, 0])}
    nobody = similarities(Taste({}), _units(pictures), 2)
    assert np.isnan(nobody.values).all()
    assert np.isnan(nobody.histogram).all()
    without_length = similarities(Taste({VISUAL: np.array([1, 0], np.float32)}), _units(pictures), 2)
    assert column(without_length, "picture_7d_cosine") == pytest.approx([1, NAN], nan_ok=True)
    nothing_pictured = similarities(
        Taste({VISUAL: np.array([1, 0], np.float32)}), {PICTURE: np.zeros((2, 0), np.float32)}, 2
    )
    assert np.isnan(nothing_pictured.values).all()


def test_a_product_is_told_the_same_alone_and_among_many() -> None:
    """Online asks for hundreds at once, a training set for one."""
    random = np.random.default_rng(5)

    def drawn(*shape: int) -> np.ndarray:
        return random.standard_normal(shape).astype(np.float32)

    taste = Taste(
        {(i.table, i.column): drawn(96) for i in INTERESTS}, drawn(3, 96), random.random(3).astype("f4"), drawn(20, 96)
    )
    products = {name: drawn(500, 96) for name in (PICTURE, "video_vector", "text_vector")}
    products[PICTURE][7] = NAN
    products = _units(products)
    many = similarities(taste, products, 500)
    for place in (0, 7, 499):
        alone = similarities(taste, {name: v[place : place + 1] for name, v in products.items()}, 1)
        np.testing.assert_allclose(alone.values[0], many.values[place], atol=1e-6)
        np.testing.assert_array_equal(alone.histogram[0], many.histogram[place])
    assert np.nansum(many.histogram, axis=1).tolist() == [0 if i == 7 else 20 for i in range(500)]
