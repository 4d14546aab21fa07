"""Rules, and confidences that mean what they say."""

from __future__ import annotations

import numpy as np
import pytest

from pipelines.tags.calibration import expected_calibration_error, fit_curve, ranking_quality
from pipelines.tags.catalogue import Condition, Tag
from pipelines.tags.confidence import Curve, curves_from_json, curves_to_json
from pipelines.tags.rules import UNMET, condition_holds, probability, value
from tests.tags.test_catalogue import TAG


def tag(**values: object) -> Tag:
    return Tag.model_validate(TAG | {"id": "a.tag"} | values)


def of(**features: float) -> object:
    return lambda name: np.array([features[name.replace(".", "_")]])


def test_a_condition_is_even_on_its_bound_sure_a_scale_inside_and_unmet_where_unknown() -> None:
    condition = Condition(feature="user_value.orders_90d", at_least=4, scale=2)
    held = condition_holds(condition, np.array([4.0, 6.0, 2.0, np.nan]))
    assert held[0] == pytest.approx(0.5)
    assert held[1] > 0.95
    assert held[2] < 0.05
    assert held[3] == UNMET


def test_between_two_bounds_the_nearer_counts() -> None:
    condition = Condition(feature="user_value.orders_90d", at_least=2, at_most=10, scale=1)
    held = condition_holds(condition, np.array([2.0, 6.0, 10.0, 11.0]))
    assert held[0] == pytest.approx(0.5)
    assert held[1] > 0.99
    assert held[2] == pytest.approx(0.5)
    assert held[3] < 0.1


def test_a_ratio_to_nothing_is_unknown() -> None:
    condition = Condition(feature="user_value.spend_90d", over="user_value.orders_90d", at_least=1)
    assert value(condition, of(user_value_spend_90d=6.0, user_value_orders_90d=3.0))[0] == 2  # type: ignore[arg-type]
    assert np.isnan(value(condition, of(user_value_spend_90d=6.0, user_value_orders_90d=0.0))[0])  # type: ignore[arg-type]


def test_all_of_takes_the_weakest_and_some_of_as_many_as_are_asked() -> None:
    sure = {"feature": "user_value.orders_90d", "at_least": 1, "scale": 1}
    unsure = {"feature": "user_value.spend_90d", "at_least": 100, "scale": 1}
    features = of(user_value_orders_90d=9.0, user_value_spend_90d=0.0)
    assert probability(tag(all_of=[sure, unsure]), features)[0] < 0.01  # type: ignore[arg-type]
    assert probability(tag(some_of=[sure, unsure]), features)[0] > 0.99  # type: ignore[arg-type]
    assert probability(tag(some_of=[sure, unsure], at_least=2), features)[0] < 0.01  # type: ignore[arg-type]


def test_a_fitted_curve_finds_the_one_that_drew_the_truth() -> None:
    random = np.random.default_rng(3)
    score, seen = random.normal(size=20_000), random.gamma(2, 10, 20_000)
    drawn = Curve(intercept=-1.0, score=0.5, seen=-0.2, score_seen=0.6)
    holds = random.random(20_000) < drawn.confidence(score, seen)
    fitted = fit_curve(score, seen, holds)
    assert fitted is not None
    assert expected_calibration_error(fitted.confidence(score, seen), holds) < 0.02
    assert np.abs(fitted.confidence(score, seen) - drawn.confidence(score, seen)).mean() < 0.02


def test_a_confidence_never_falls_as_the_score_rises() -> None:
    random = np.random.default_rng(4)
    score, seen = random.normal(size=2000), random.gamma(2, 10, 2000)
    fitted = fit_curve(score, seen, random.random(2000) < 1 / (1 + np.exp(score)))
    assert fitted is not None
    steps = np.linspace(-5, 5, 50)
    for much in (0.0, 1.0, 100.0):
        assert (np.diff(fitted.confidence(steps, np.full(50, much))) >= 0).all()


def test_too_few_truths_fit_nothing() -> None:
    holds = np.arange(1000) < 10
    assert fit_curve(np.arange(1000.0), np.zeros(1000), holds) is None


def test_error_and_ranking_of_known_cases() -> None:
    holds = np.array([True, False] * 50)
    assert expected_calibration_error(np.full(100, 0.5), holds) == pytest.approx(0.0)
    assert expected_calibration_error(np.full(100, 0.9), holds) == pytest.approx(0.4)
    assert ranking_quality(holds.astype(float), holds) == 1.0
    assert ranking_quality(np.zeros(100), holds) == 0.5
    assert np.isnan(ranking_quality(np.zeros(2), np.array([True, True])))


def test_curves_go_to_a_file_and_back() -> None:
    curves = {"b": Curve(1, 2, 3, 4, 5, 6), "a": Curve(0.5, 1)}
    assert curves_from_json(curves_to_json(curves), "memory") == curves
