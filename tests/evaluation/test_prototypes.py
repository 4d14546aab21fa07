"""Prototypes against a plain loop."""

import numpy as np

from pipelines.evaluation.prototypes import Prototypes, nearest_without_itself


def test_the_nearest_prototype_is_the_one_of_the_smallest_angle() -> None:
    rng = np.random.default_rng(1)
    vectors, labels = rng.normal(size=(40, 6)), [f"c{i % 4}" for i in range(40)]
    users = rng.normal(size=(9, 6))
    found = Prototypes.of(vectors, labels).nearest(users)
    centre = vectors.mean(axis=0)
    for user, name in zip(users, found, strict=True):
        likeness = {}
        for label in set(labels):
            mean = vectors[[other == label for other in labels]].mean(axis=0) - centre
            likeness[label] = mean @ (user - centre) / np.linalg.norm(mean)
        assert name == max(likeness, key=lambda label: likeness[label])


def test_a_product_does_not_vouch_for_itself() -> None:
    # Each product is nearer to the other kind, but for its own vector.
    vectors = np.array([[1.0, 0.0], [-1.0, 0.1], [0.9, 0.1], [-0.9, 0.0]])
    assert nearest_without_itself(vectors, ["a", "a", "b", "b"]) == ["b", "b", "a", "a"]


def test_a_product_alone_of_its_kind_cannot_be_told() -> None:
    vectors = np.array([[1.0, 0.0], [0.0, 1.0], [0.1, 1.0]])
    assert nearest_without_itself(vectors, ["alone", "pair", "pair"]) == ["pair", "pair", "pair"]
