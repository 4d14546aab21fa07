"""The next-purchase ranker: gradient-boosted trees on pairs of user and product, bought or not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import HistGradientBoostingClassifier

from pipelines.consumers.pulled import Floats32

NEGATIVES = 40  # products not bought, drawn for each user and cut
TREES, LEARNING_RATE, LEAVES, SMALLEST_LEAF = 200, 0.05, 15, 40
Bools = npt.NDArray[np.bool_]


def drawn_pairs(relevant: Bools, rng: np.random.Generator) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Rows and products of all that was bought and of NEGATIVES others a user, `relevant` being (users, products)."""
    keys = np.where(relevant, 2.0, rng.random(relevant.shape))
    wanted = np.minimum(relevant.sum(axis=1) + NEGATIVES, relevant.shape[1])
    order = np.argsort(-keys, axis=1)
    rows = np.repeat(np.arange(len(relevant)), wanted)
    ranks = np.arange(len(rows)) - np.repeat(np.cumsum(wanted) - wanted, wanted)
    return rows, order[rows, ranks]


class Ranker:
    """Trees over the first `width` features."""

    def __init__(self, width: int) -> None:
        self._width = width
        self._trees = HistGradientBoostingClassifier(
            max_iter=TREES,
            learning_rate=LEARNING_RATE,
            max_leaf_nodes=LEAVES,
            min_samples_leaf=SMALLEST_LEAF,
            l2_regularization=1.0,
            early_stopping=False,
            random_state=1,
        )

    def fit(self, features: Sequence[Floats32], bought: Sequence[Bools]) -> Ranker:
        """Of pairs (pairs, features) and whether they were bought, in parts."""
        self._trees.fit(np.concatenate([part[:, : self._width] for part in features]), np.concatenate(bought))
        return self

    def scores(self, features: Floats32) -> Floats32:
        """Of (users, products, features): (users, products)."""
        users, products, _ = features.shape
        flat = features[:, :, : self._width].reshape(users * products, self._width)
        found: Floats32 = self._trees.decision_function(flat).astype(np.float32).reshape(users, products)
        return found
