"""Gradient-boosted trees over features of which some, or whole columns, may be unknown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from sklearn.ensemble import HistGradientBoostingClassifier
from threadpoolctl import threadpool_limits

from pipelines.consumers.pulled import Floats32
from pipelines.consumers.tree_table import TreeTable


@dataclass(frozen=True)
class Growth:
    """How many trees are grown, how fast, and how large: leaves of a tree, rows of a leaf."""

    trees: int
    learning_rate: float
    leaves: int
    smallest_leaf: int


class Trees:
    """A classifier; the same rows give the same trees."""

    def __init__(self, growth: Growth) -> None:
        self._model = HistGradientBoostingClassifier(
            max_iter=growth.trees,
            learning_rate=growth.learning_rate,
            max_leaf_nodes=growth.leaves,
            min_samples_leaf=growth.smallest_leaf,
            l2_regularization=1.0,
            early_stopping=False,
            random_state=1,
        )

    def fit(self, features: Floats32, labels: npt.NDArray[np.bool_]) -> Trees:
        """Of (rows, names), NaN where nothing is known, and (rows,)."""
        # The library refuses a column without any value, such as likeness of films in a shop without films.
        self._known: npt.NDArray[np.bool_] = np.asarray(~np.isnan(features).all(axis=0))
        with _one_thread():
            self._model.fit(features[:, self._known], labels)
        return self

    def scores(self, features: Floats32) -> npt.NDArray[np.float64]:
        """Log-odds of the label being true: (rows,)."""
        with _one_thread():
            found: npt.NDArray[np.float64] = self._model.decision_function(features[:, self._known])
        return found

    def table(self, names: Sequence[str]) -> TreeTable:
        """The grown trees as a table, over features of the given names (all that `fit` was given)."""
        known = [name for name, has in zip(names, self._known.tolist(), strict=True) if has]
        parts = []
        # The trees are nowhere public; a test holds what is read here against the library's own scores.
        for number, [tree] in enumerate(self._model._predictors):
            nodes = tree.nodes
            leaf: npt.NDArray[np.bool_] = nodes["is_leaf"].astype(bool)
            left, right = (nodes[side].astype(np.int64) for side in ("left", "right"))
            split = [None if end else known[f] for f, end in zip(nodes["feature_idx"], leaf.tolist(), strict=True)]
            columns = {
                "tree": np.full(len(nodes), number),
                "node": np.arange(len(nodes)),
                "feature": split,
                "threshold": nodes["num_threshold"],
                "missing_left": nodes["missing_go_to_left"].astype(bool),
                "left": left,
                "right": right,
                "value": _means(nodes["value"].copy(), nodes["count"], leaf, left, right),
            }
            parts.append(pa.table(columns))
        return TreeTable(pa.concat_tables(parts), tuple(names), float(self._model._baseline_prediction.item()))


def _means(
    values: npt.NDArray[np.float64],
    counts: npt.NDArray[np.uint32],
    leaf: npt.NDArray[np.bool_],
    left: npt.NDArray[np.int64],
    right: npt.NDArray[np.int64],
) -> npt.NDArray[np.float64]:
    """Of each node what the rows that came through it get on average: children come after their parent."""
    for node in reversed(np.flatnonzero(~leaf).tolist()):
        children = [left[node], right[node]]
        values[node] = np.average(values[children], weights=counts[children])
    return values


def _one_thread() -> threadpool_limits:
    """Threads wait for each other at every node, spinning: on cores that others use, two take many times longer."""
    return threadpool_limits(limits=1, user_api="openmp")
