"""What things are called, against values by hand."""

from __future__ import annotations

import numpy as np

from encoders.evaluation.naming import named_right, neighbours_agree, voted_right


def units(rows: list[list[float]]) -> np.ndarray:
    vectors = np.array(rows)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def test_the_nearest_names_are_what_it_is_called() -> None:
    names = units([[1, 0, 0], [0, 1, 0], [0, 0, 1]])
    items = units([[3, 2, 1], [3, 2, 1], [3, 2, 1], [0, 0, 1]])
    assert named_right(items, names, [0, 1, 2, 2]).tolist() == [1, 0, 0, 1]
    assert named_right(items, names, [0, 1, 2, 2], depth=2).tolist() == [1, 1, 0, 1]


def test_equally_near_names_do_not_all_count() -> None:
    """An encoder that gives everything the same vector knows no names."""
    assert named_right(np.ones((3, 1)), np.ones((3, 1)), [0, 1, 2]).tolist() == [1, 0, 0]


def test_the_nearest_known_ones_vote() -> None:
    known, labels = units([[1, 0], [0.9, 0.1], [0, 1], [0.1, 0.9]]), [0, 0, 1, 1]
    asked = units([[1, 0.2], [0.2, 1], [1, 0.9]])
    assert voted_right(known, labels, asked, [0, 1, 1], depth=2).tolist() == [1, 1, 0]
    # Two of three are of class 1, but the one that is of class 0 does not outweigh them by being nearer.
    assert voted_right(known[[0, 2, 3]], [0, 1, 1], asked[:1], [1], depth=3).tolist() == [1]


def test_neighbours_vote_for_the_label_and_not_for_themselves() -> None:
    vectors = np.array([[1.0, 0.0], [0.99, 0.1], [0.98, 0.15], [0.0, 1.0], [0.1, 0.99], [0.95, 0.3]])
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    labels = ["shoe", "shoe", "shoe", "hat", "hat", "hat"]
    assert neighbours_agree(vectors, labels, depth=1).tolist() == [1, 1, 1, 1, 1, 0]
