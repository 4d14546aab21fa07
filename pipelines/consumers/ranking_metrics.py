"""How good rankings of products are, row by row."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


def best_first(scores: npt.NDArray[np.floating], k: int) -> Ints:
    """Places of the k greatest scores of each row (rows, products), greatest first; the earlier place wins a tie."""
    return np.argsort(-scores, axis=1, kind="stable")[:, :k].astype(np.int64)


def hits(ranked: Ints, relevant: Bools) -> Bools:
    """Whether each ranked product (rows, k) is relevant; `relevant` is (rows, products)."""
    return np.take_along_axis(relevant, ranked, axis=1)


def recall(hit: Bools, relevant_count: Ints) -> Floats:
    """Share of each row's relevant products that are among the ranked ones."""
    return hit.sum(axis=1) / relevant_count


def ndcg(hit: Bools, relevant_count: Ints) -> Floats:
    """Normalised discounted cumulative gain of each row, relevance 0 or 1 (Järvelin and Kekäläinen 2002)."""
    k = hit.shape[1]
    discounts = 1 / np.log2(np.arange(2, k + 2))
    ideal = np.cumsum(discounts)[np.minimum(relevant_count, k) - 1]
    found: Floats = (hit * discounts).sum(axis=1) / ideal
    return found
