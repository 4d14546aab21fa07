"""Grown trees as a table of their nodes: what a registered model is stored as, and scored from. No pickle.

One row per node, by tree and node: `feature` (null at a leaf), `threshold` (to the left up to it), `missing_left`
(where rows without a value go), `left` and `right` (nodes), `value` (log-odds that a leaf adds).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

Floats = npt.NDArray[np.float64]
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
_FEATURES, _BASELINE = b"features", b"baseline"


@dataclass(frozen=True)
class TreeTable:
    """Trees over named features; `baseline` is the log-odds before any tree."""

    nodes: pa.Table
    features: tuple[str, ...]
    baseline: float

    def write(self, path: Path) -> None:
        """As one Parquet file."""
        more = {_FEATURES: json.dumps(self.features).encode(), _BASELINE: repr(self.baseline).encode()}
        pq.write_table(self.nodes.cast(_SCHEMA).replace_schema_metadata(more), path)

    @classmethod
    def read(cls, path: Path) -> TreeTable:
        """Inverse of `write`. Raises ValueError for another file."""
        nodes = pq.read_table(path)
        more = nodes.schema.metadata or {}
        if _FEATURES not in more or _BASELINE not in more or not nodes.schema.equals(_SCHEMA):
            raise ValueError(f"{path} is no table of trees")
        return cls(nodes, tuple(json.loads(more[_FEATURES])), float(more[_BASELINE]))

    def scores(self, features: npt.NDArray[np.floating]) -> Floats:
        """Log-odds of the label being true: (rows,), of (rows, features), NaN where nothing is known."""
        values = features.astype(np.float64)
        total = np.full(len(values), self.baseline)
        numbers = {name: place for place, name in enumerate(self.features)}
        columns = self.nodes.column("feature").to_pylist()
        at_feature = np.array([-1 if name is None else numbers[name] for name in columns])
        trees = self.nodes.column("tree").to_numpy()
        starts = [*np.flatnonzero(np.diff(trees, prepend=-1)), len(trees)]
        rest = {name: _numpy(self.nodes, name) for name in ("threshold", "missing_left", "left", "right", "value")}
        for start, stop in pairwise(starts):
            part = {name: column[start:stop] for name, column in rest.items()}
            total += part["value"][_leaves(values, at_feature[start:stop], part)]
        return total


def _leaves(values: Floats, at_feature: npt.NDArray[np.int64], tree: dict[str, npt.NDArray]) -> npt.NDArray[np.int64]:
    """The leaf of one tree that each row ends in."""
    node = np.zeros(len(values), dtype=np.int64)
    rows = np.arange(len(values))
    while True:
        inner = at_feature[node] >= 0
        if not inner.any():
            return node
        here = node[inner]
        value = values[rows[inner], at_feature[here]]
        left = np.where(np.isnan(value), tree["missing_left"][here], value <= tree["threshold"][here])
        node[inner] = np.where(left, tree["left"][here], tree["right"][here])


def _numpy(table: pa.Table, name: str) -> npt.NDArray:
    found: npt.NDArray = table.column(name).to_numpy()
    return found
