"""Conditions over features: how surely they hold. numpy over whole batches of users, no Spark.

A condition's margin is the distance of the feature from its bound in units of `scale`; it holds with probability
sigmoid(MARGIN_SLOPE * margin): one half on the bound, 0.95 a scale inside it. `all_of` takes the least of its
conditions' probabilities, `some_of` the least of the `at_least` greatest: the fuzzy conjunction and disjunction of
Zadeh (1965), which need no independence. An unknown feature leaves its condition unmet.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from pipelines.tags.catalogue import Condition, Tag

Floats = NDArray[np.float64]
Feature = Callable[[str], Floats]

MARGIN_SLOPE = 3.0
UNMET = 1e-3
"""What a condition on an unknown feature counts as."""


def probability(tag: Tag, feature: Feature) -> Floats:
    """How surely a rule holds, before calibration. `feature` gives values by name, NaN where unknown."""
    every = [condition_holds(condition, value(condition, feature)) for condition in tag.all_of]
    if tag.some_of:
        some = np.stack([condition_holds(condition, value(condition, feature)) for condition in tag.some_of])
        every.append(np.sort(some, axis=0)[-tag.at_least])
    least: Floats = np.min(every, axis=0)
    return least


def value(condition: Condition, feature: Feature) -> Floats:
    """What a condition looks at, NaN where unknown; a ratio to zero is unknown."""
    if condition.over is None:
        return feature(condition.feature)
    over = feature(condition.over)
    return feature(condition.feature) / np.where(over == 0, np.nan, over)


def condition_holds(condition: Condition, values: Floats) -> Floats:
    """Probabilities in (0, 1)."""
    margins = []
    if condition.at_least is not None:
        margins.append((values - condition.at_least) / _scale(condition, condition.at_least))
    if condition.at_most is not None:
        margins.append((condition.at_most - values) / _scale(condition, condition.at_most))
    margin = np.clip(np.min(margins, axis=0), -3, 3)
    held = 1 / (1 + np.exp(-MARGIN_SLOPE * margin))
    return np.where(np.isnan(values), UNMET, held)


def _scale(condition: Condition, bound: float) -> float:
    return condition.scale or max(abs(bound) / 4, 1e-9)
