"""Grown trees as a table of their nodes: what a registered model is stored as, and scored from. No pickle.

One row per node, by tree and node: `feature` (null at a leaf), `threshold` (to the left up to it), `missing_left`
(where rows without a value go), `left` and `right` (nodes), `value` (log-odds that a leaf adds; of an inner node the
mean of the rows it was grown from).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.tags.confidence import Curve

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]
_SCHEMA = pa.schema(
    [
        ("tree", pa.int32()),
        ("node", pa.int32()),
        ("feature", pa.string()),
        ("threshold", pa.float64()),
        ("missing_left", pa.bool_()),
        ("left", pa.int32()),
        ("right", pa.int32()),
        ("value", pa.float64()),
    ]
)
_FEATURES, _BASELINE, _JUDGED = b"features", b"baseline", b"judged"


@dataclass(frozen=True)
class TreeTable:
    """Trees over named features; `baseline` is the log-odds before any tree.

    Probabilities were calibrated on `judged` rows, of which for `positives` the label was true (0: never).
    """

    nodes: pa.Table
    features: tuple[str, ...]
    baseline: float
    positives: int = 0
    judged: int = 0

    def write(self, path: Path) -> None:
        """As one Parquet file."""
        judged = json.dumps([self.positives, self.judged]).encode()
        more = {_FEATURES: json.dumps(self.features).encode(), _BASELINE: repr(self.baseline).encode(), _JUDGED: judged}
        pq.write_table(self.nodes.cast(_SCHEMA).replace_schema_metadata(more), path)

    @classmethod
    def read(cls, path: Path) -> TreeTable:
        """Inverse of `write`. Raises ValueError for another file."""
        nodes = pq.read_table(path)
        more = nodes.schema.metadata or {}
        if _FEATURES not in more or _BASELINE not in more or not nodes.schema.equals(_SCHEMA):
            raise ValueError(f"{path} is no table of trees")
        judged = json.loads(more.get(_JUDGED, b"[0, 0]"))
        return cls(nodes, tuple(json.loads(more[_FEATURES])), float(more[_BASELINE]), *judged)

    def to_json(self) -> dict[str, Any]:
        """Plain values; equal trees give equal ones."""
        return {
            "features": list(self.features),
            "baseline": self.baseline,
            "positives": self.positives,
            "judged": self.judged,
            "nodes": self.nodes.cast(_SCHEMA).to_pydict(),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> TreeTable:
        """Inverse of `to_json`. Raises KeyError, ValueError or TypeError for other values."""
        nodes = pa.table(values["nodes"], schema=_SCHEMA)
        counts = int(values["positives"]), int(values["judged"])
        return cls(nodes, tuple(values["features"]), float(values["baseline"]), *counts)

    def calibrated(self, curve: Curve) -> TreeTable:
        """Trees whose scores are the log-odds that the curve gives to the scores of these."""
        place = self.nodes.column_names.index("value")
        values = pa.array(_numpy(self.nodes, "value") * curve.score)
        return TreeTable(
            self.nodes.set_column(place, "value", values),
            self.features,
            curve.intercept + curve.score * self.baseline,
            curve.positives,
            curve.judged,
        )

    def scores(self, features: npt.NDArray[np.floating]) -> Floats:
        """Log-odds of the label being true: (rows,), of (rows, features), NaN where nothing is known."""
        values = features.astype(np.float64)
        total = np.full(len(values), self.baseline)
        for tree in self._trees:
            node = np.zeros(len(values), dtype=np.int64)
            for _ in _walk(values, tree, node):
                pass
            total += tree["value"][node]
        return total

    def contributions(self, features: npt.NDArray[np.floating]) -> tuple[float, Floats]:
        """The usual log-odds, and what each feature adds to them for each row: (rows, features). They sum to `scores`.

        What a tree's prediction changes by at a split is its feature's (A. Palczewska et al., "Interpreting random
        forest models using a feature contribution method", 2013).
        """
        values = features.astype(np.float64)
        usual, found = self.baseline, np.zeros(values.shape)
        for tree in self._trees:
            node = np.zeros(len(values), dtype=np.int64)
            usual += float(tree["value"][0])
            for rows, before in _walk(values, tree, node):
                found[rows, tree["place"][before]] += tree["value"][node[rows]] - tree["value"][before]
        return usual, found

    @cached_property
    def _trees(self) -> list[dict[str, npt.NDArray]]:
        """Columns of each tree, and `place`, which feature a node looks at (-1: a leaf)."""
        numbers = {name: place for place, name in enumerate(self.features)}
        names = self.nodes.column("feature").to_pylist()
        columns = {name: _numpy(self.nodes, name) for name in ("threshold", "missing_left", "left", "right", "value")}
        columns["place"] = np.array([-1 if name is None else numbers[name] for name in names])
        trees = _numpy(self.nodes, "tree")
        starts = [*np.flatnonzero(np.diff(trees, prepend=-1)), len(trees)]
        return [{name: column[start:stop] for name, column in columns.items()} for start, stop in pairwise(starts)]


def _walk(values: Floats, tree: dict[str, npt.NDArray], node: Places) -> Iterator[tuple[Places, Places]]:
    """Move every row's node (in place) a step down until all are leaves; which rows moved, and from where."""
    while True:
        rows = np.flatnonzero(tree["place"][node] >= 0)
        if not len(rows):
            return
        here = node[rows]
        value = values[rows, tree["place"][here]]
        left = np.where(np.isnan(value), tree["missing_left"][here], value <= tree["threshold"][here])
        node[rows] = np.where(left, tree["left"][here], tree["right"][here])
        yield rows, here


def _numpy(table: pa.Table, name: str) -> npt.NDArray:
    found: npt.NDArray = table.column(name).to_numpy()
    return found
