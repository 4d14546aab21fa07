"""The next-purchase ranker: gradient-boosted trees on pairs of user and product, bought or not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pipelines.consumers.pulled import Floats32
from pipelines.consumers.tree_table import TreeTable
from pipelines.consumers.trees import Growth, Trees

NEGATIVES = 40  # products not bought, drawn for each user and cut
GROWTH = Growth(trees=150, learning_rate=0.04, leaves=6, smallest_leaf=100)
Bools = npt.NDArray[np.bool_]


def drawn_pairs(relevant: Bools, rng: np.random.Generator) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Rows and products of all that was bought and of NEGATIVES others a user, `relevant` being (users, products)."""
    keys = np.where(relevant, 2.0, rng.random(relevant.shape))
    wanted = np.minimum(relevant.sum(axis=1) + NEGATIVES, relevant.shape[1])
    order = np.argsort(-keys, axis=1)
    rows = np.repeat(np.arange(len(relevant)), wanted)
    ranks = np.arange(len(rows)) - np.repeat(np.cumsum(wanted) - wanted, wanted)
    return rows, order[rows, ranks]


class Lesson(NamedTuple):
    """Pairs of user and product: features (pairs, names), and whether each was bought."""

    features: Floats32
    bought: Bools

    @classmethod
    def together(cls, parts: Sequence[Lesson]) -> Lesson:
        return cls(np.concatenate([part.features for part in parts]), np.concatenate([part.bought for part in parts]))


class Ranker:
    """Trees over the first `width` features."""

    def __init__(self, width: int) -> None:
        self._width = width
        self._trees = Trees(GROWTH)

    def fit(self, lesson: Lesson) -> Ranker:
        self._trees.fit(lesson.features[:, : self._width], lesson.bought)
        return self

    def table(self, names: Sequence[str]) -> TreeTable:
        """The trees over the first of the features' names."""
        return self._trees.table(names[: self._width])

    def scores(self, features: Floats32) -> Floats32:
        """Of (users, products, features): (users, products)."""
        users, products, _ = features.shape
        flat = features[:, :, : self._width].reshape(users * products, self._width)
        found: Floats32 = self._trees.scores(flat).astype(np.float32).reshape(users, products)
        return found
