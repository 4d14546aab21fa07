"""Vectors of products and users as published, beside what the truth says they are."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.evaluation.measure import Evidence
from pipelines.evaluation.prototypes import Floats
from pipelines.tables.features import PRODUCT_VECTORS
from pipelines.tables.schema import Table


class Products(NamedTuple):
    """Vectors (products, dimensions), and each product's truth."""

    vectors: Floats
    truths: list[dict[str, str]]

    def labels(self, axis: str) -> list[str]:
        return [truth[axis] for truth in self.truths]


class Interests(NamedTuple):
    """Vectors (users, dimensions), and whose they are: the truth's user ids."""

    vectors: Floats
    users: list[str]


def product_vectors(evidence: Evidence, column: str) -> Products:
    """The products that have a vector in a column of product_vectors and are in the truth."""
    truths = evidence.truth.at("products", "product_id", evidence.as_of)
    rows = _filled(evidence.published.latest(PRODUCT_VECTORS, [column]), column)
    known = [place for place, product in enumerate(rows["product_id"].to_pylist()) if product in truths]
    rows = rows.take(pa.array(known, pa.int64()))
    return Products(_matrix(rows[column]), [truths[product] for product in rows["product_id"].to_pylist()])


def interests(evidence: Evidence, table: Table, column: str) -> Interests:
    """The users of the truth who have an interest vector."""
    ids = {evidence.user_key(row["user_id"]): row["user_id"] for row in evidence.truth.rows("users")}
    rows = _filled(evidence.published.latest(table, [column], purpose="personalisation"), column)
    known = [place for place, key in enumerate(rows["user_id"].to_pylist()) if key in ids]
    rows = rows.take(pa.array(known, pa.int64()))
    return Interests(_matrix(rows[column]), [ids[key] for key in rows["user_id"].to_pylist()])


def _filled(rows: pa.Table, column: str) -> pa.Table:
    return rows.filter(pc.is_valid(rows[column]))


def _matrix(vectors: pa.ChunkedArray) -> Floats:
    lists = vectors.combine_chunks()
    if not len(lists):
        return np.empty((0, 0))
    return lists.flatten().to_numpy(zero_copy_only=False).astype(np.float64).reshape(len(lists), -1)
