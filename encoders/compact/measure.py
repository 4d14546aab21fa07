"""Held-out figures of the model card."""

from __future__ import annotations

import numpy as np


def zero_shot(images: np.ndarray, labels: np.ndarray, names: np.ndarray, top: int = 1) -> float:
    """Share of (n, d) pictures whose label is among the `top` nearest of (classes, d) names."""
    order = np.argsort(-(images @ names.T), axis=1)[:, :top]
    return float((order == labels[:, None]).any(axis=1).mean())


def nearest_neighbours(
    train: np.ndarray, train_labels: np.ndarray, test: np.ndarray, labels: np.ndarray, k: int = 10
) -> float:
    """Accuracy of a vote of the k nearest (cosine) training pictures."""
    unit_train = train / np.linalg.norm(train, axis=1, keepdims=True)
    unit_test = test / np.linalg.norm(test, axis=1, keepdims=True)
    similarity = unit_test @ unit_train.T
    nearest = np.argsort(-similarity, axis=1)[:, :k]
    votes = np.zeros((len(test), int(train_labels.max()) + 1))
    for row, columns in enumerate(nearest):
        np.add.at(votes[row], train_labels[columns], similarity[row, columns])
    return float((votes.argmax(axis=1) == labels).mean())


def retrieval(names: np.ndarray, images: np.ndarray, depth: int = 10) -> float:
    """Share of names whose own picture (same row) is among the `depth` nearest pictures."""
    similarity = names @ images.T
    rank = (similarity > similarity.diagonal()[:, None]).sum(axis=1)
    return float((rank < depth).mean())
