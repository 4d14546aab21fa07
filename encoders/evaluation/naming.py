"""What pictures or texts are called: by names alone, and by a vote of their neighbours. One hit (1 or 0) per item."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from encoders.evaluation.ranking import Floats


def named_right(items: Floats, names: Floats, labels: npt.ArrayLike, depth: int = 1) -> Floats:
    """Whether each item's label (items,) is among the `depth` nearest of the names (classes, d): zero-shot naming.

    Vectors are of unit length; of equally near names the earlier one counts as nearer.
    """
    nearest = np.argsort(-(items @ names.T), axis=1, kind="stable")[:, :depth]
    return np.asarray((nearest == np.asarray(labels)[:, None]).any(axis=1), dtype=np.float64)


def voted_right(
    known: Floats, known_labels: npt.ArrayLike, asked: Floats, labels: npt.ArrayLike, depth: int = 10
) -> Floats:
    """Whether a vote of the `depth` nearest known items, weighted by likeness, gives each asked item's label.

    Vectors (known, d) and (asked, d) of unit length, labels (known,) and (asked,) numbers of classes.
    """
    return np.asarray(_vote(asked @ known.T, np.asarray(known_labels), depth) == np.asarray(labels), dtype=np.float64)


def neighbours_agree(vectors: Floats, labels: Sequence[str], depth: int = 10) -> Floats:
    """Whether a vote of each item's nearest others (vectors of unit length), weighted by likeness, gives its label."""
    codes = np.unique(np.asarray(labels), return_inverse=True)[1]
    likeness = vectors @ vectors.T
    np.fill_diagonal(likeness, -np.inf)
    return np.asarray(_vote(likeness, codes, min(depth, len(vectors) - 1)) == codes, dtype=np.float64)


def _vote(likeness: Floats, codes: npt.NDArray[np.int64], depth: int) -> npt.NDArray[np.int64]:
    """The class with the greatest sum of 1 + likeness over the nearest, per row of (asked, known)."""
    nearest = np.argsort(-likeness, axis=1, kind="stable")[:, :depth]
    votes = np.zeros((len(likeness), int(codes.max()) + 1))
    np.add.at(
        votes, (np.arange(len(likeness))[:, None], codes[nearest]), 1.0 + np.take_along_axis(likeness, nearest, axis=1)
    )
    return np.asarray(votes.argmax(axis=1))
