"""The model card's figures, on pictures no training step saw."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from encoders.compact.class_names import CLOTHING, GROCERY
from encoders.compact.measure import nearest_neighbours, retrieval, zero_shot
from encoders.compact.pictures import Picture

Embed = Callable[[list[str]], torch.Tensor]
Figures = dict[str, dict[str, float]]


def measure_all(shown: list[Picture], features: np.ndarray, vectors: np.ndarray, embed: Embed) -> Figures:
    """Zero-shot and neighbours on photos; retrieval by name on drawings."""
    figures: Figures = {}
    for group, names in (("clothing", CLOTHING), ("grocery", GROCERY)):
        labels = list(names)
        place = {label: labels.index(label) for label in labels}
        train, test = _rows(shown, group, "train"), _rows(shown, group, "test")
        truth = np.array([place[shown[row].concept] for row in test])
        known = np.array([place[shown[row].concept] for row in train])
        figures[group] = {
            language: zero_shot(vectors[test], truth, embed([names[label][side] for label in labels]).numpy())
            for side, language in enumerate(("zh", "en"))
        }
        figures[group]["knn"] = nearest_neighbours(vectors[train], known, vectors[test], truth)
        figures[group]["trunk_knn"] = nearest_neighbours(features[train], known, features[test], truth)
        figures[group]["photos"] = len(test)
    for split in ("test", "unseen"):
        rows = _rows(shown, "twitter", split)
        figures[f"twitter {split}"] = {
            "zh": retrieval(embed([shown[row].chinese[0] for row in rows]).numpy(), vectors[rows]),
            "en": retrieval(embed([shown[row].english[0] for row in rows]).numpy(), vectors[rows]),
            "drawings": len(rows),
        }
    return figures


def _rows(shown: list[Picture], group: str, split: str) -> list[int]:
    return [row for row, picture in enumerate(shown) if picture.group == group and picture.split == split]
