"""Teaches the head on n-grams, and how its word and the vector head's are weighed against each other.

Run by `encoders.heads.train`; scikit-learn is needed here alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from encoders.heads.corpora import Labelled
from encoders.heads.ngrams import ngram_places, summed_weights

PLACES = 2**18
# Chosen by two-fold cross-validation on training texts.
_STRENGTH = 16.0


def ngram_weights(rows: Sequence[Labelled]) -> np.ndarray:
    """(PLACES,) float16: a weight for each place, by logistic regression on texts with labels."""
    from scipy.sparse import csr_matrix
    from sklearn.linear_model import LogisticRegression

    places = [ngram_places(row.text, PLACES) for row in rows]
    counts = np.array([len(at) for at in places])
    values = np.repeat(1 / np.sqrt(np.maximum(counts, 1)), counts)
    inputs = csr_matrix((values, np.concatenate(places), np.append(0, np.cumsum(counts))), shape=(len(rows), PLACES))
    labels = np.array([row.label for row in rows])
    # Without an intercept: the blend has one.
    model = LogisticRegression(C=_STRENGTH, solver="liblinear", fit_intercept=False).fit(inputs, labels)
    weights: np.ndarray = model.coef_[0].astype(np.float16)
    return weights


def blend(by_vector: np.ndarray, rows: Sequence[Labelled], weights: np.ndarray) -> np.ndarray:
    """(3,) float32: factors of the vector head's and of the n-grams' logits, and the intercept.

    Both have an equal say: their logits are made to spread alike. Weighing them by what they get right would trust an
    encoder too much that was itself taught on labels. How sure both are together is solved for on these texts, which
    neither head was taught on.
    """
    from sklearn.linear_model import LogisticRegression

    by_ngrams = summed_weights([row.text for row in rows], weights.astype(np.float32))
    spreads = np.array([by_vector.std(), by_ngrams.std()])
    together = by_vector / spreads[0] + by_ngrams / spreads[1]
    model = LogisticRegression(C=1e4).fit(together[:, None], np.array([row.label for row in rows]))
    return np.append(model.coef_[0, 0] / spreads, model.intercept_).astype(np.float32)
