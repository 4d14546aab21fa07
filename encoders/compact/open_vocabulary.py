"""What naming is worth for classes whose photos the head never saw, in the recipe that makes the head."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from encoders.compact.class_names import CLASSES
from encoders.compact.pictures import Picture
from encoders.evaluation.estimates import share
from encoders.evaluation.naming import named_right

SPLITS = 5
HELD_OUT = 0.2
Names = dict[str, tuple[np.ndarray, np.ndarray]]
"""Group -> unit vectors of its class names, Chinese and English, in the order of `CLASSES`."""
Vectors = Callable[[str, set[tuple[str, str]]], np.ndarray]
"""A run's name and the (group, class) pairs left out of its training -> vectors of all pictures by the head it made."""


def held_out(seed: int) -> set[tuple[str, str]]:
    """A fifth of the classes of each group of photos."""
    chosen = set()
    for group, names in CLASSES.items():
        classes = random.Random(f"{group}/{seed}").sample(sorted(names), round(HELD_OUT * len(names)))
        chosen |= {(group, label) for label in classes}
    return chosen


def measure(shown: Sequence[Picture], names: Names, vectors: Vectors) -> dict[str, Any]:
    """Top-5 of held-out classes among all classes over five splits, and what training on one group of photos does to
    the other: accuracy of held-out photos with no photos trained on, and with the other group alone."""
    hits: dict[str, list[np.ndarray]] = {}
    for seed in range(SPLITS):
        left_out = held_out(seed)
        found = vectors(f"split-{seed}", left_out)
        for group in CLASSES:
            classes = {label for of, label in left_out if of == group}
            rows = [row for row, p in enumerate(shown) if p.group == group and p.concept in classes]
            for language, right in _named(shown, rows, group, found, names, depth=5).items():
                hits.setdefault(f"{group} held-out top-5 {language}", []).append(right)
    figures: dict[str, Any] = {key: share(np.concatenate(value)) for key, value in hits.items()}
    every = {(group, label) for group, labels in CLASSES.items() for label in labels}
    without = vectors("no-photos", every)
    for group in CLASSES:
        rows = [row for row, p in enumerate(shown) if p.group == group and p.split == "test"]
        other = vectors(f"without-{group}", {pair for pair in every if pair[0] == group})
        for case, seen in (("no photos", without), ("the other photos only", other)):
            for language, right in _named(shown, rows, group, seen, names, depth=1).items():
                figures[f"{group} top-1 {language}, {case}"] = share(right)
    return figures


def _named(
    shown: Sequence[Picture], rows: Sequence[int], group: str, vectors: np.ndarray, names: Names, depth: int
) -> dict[str, np.ndarray]:
    labels = list(CLASSES[group])
    truth = np.array([labels.index(shown[row].concept) for row in rows])
    return {
        language: named_right(vectors[rows].astype(np.float64), side.astype(np.float64), truth, depth)
        for language, side in zip(("zh", "en"), names[group], strict=True)
    }
