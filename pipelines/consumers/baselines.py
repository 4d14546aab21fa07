"""Rankers to compare with: popularity, item-kNN, alternating least squares.

Each is fitted on the histories at a cut and gives scores (users, products). Where it knows nothing of a user, and
where it cannot tell products apart, popularity decides.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
from pyspark.ml.recommendation import ALS
from pyspark.sql import DataFrame, SparkSession

from pipelines.consumers.catalogue import Catalogue
from pipelines.consumers.occasions import Histories

Floats32 = npt.NDArray[np.float32]
NEIGHBOURS = 50
ALS_RANK, ALS_ITERATIONS, ALS_REGULARISATION, ALS_CONFIDENCE = 32, 10, 0.05, 10.0
_TIE_BREAK = 1e-4


def popularity(catalogue: Catalogue) -> Floats32:
    """Purchases of the last 30 days, then cart additions, then views; between 0 and 1: (products,)."""
    counts = np.stack(
        [np.nan_to_num(catalogue.numbers.column(f"{kind}_30d")) for kind in ("purchases", "cart_adds", "views")]
    )
    order = np.lexsort(counts[::-1])
    places = np.empty(len(order), dtype=np.float32)
    places[order] = np.arange(len(order))
    found: Floats32 = places / np.float32(max(len(order) - 1, 1))
    return found


def with_ties_broken(scores: Floats32, popular: Floats32) -> Floats32:
    """Scores brought to at most 1 per user, a trace of popularity added."""
    return by_greatest(scores) + _TIE_BREAK * popular


def by_greatest(scores: Floats32) -> Floats32:
    """Scores (users, products) as shares of each user's greatest; zeros where all are zero."""
    greatest = np.abs(scores).max(axis=1, keepdims=True)
    found: Floats32 = (scores / np.where(greatest > 0, greatest, 1)).astype(np.float32)
    return found


def item_similarity(histories: Histories) -> Floats32:
    """Cosine of products by who acted on them, each product's nearest NEIGHBOURS (itself among them) kept.

    Dense (products, products): for catalogues of some ten thousand. Weights of acts count by their logarithm.
    """
    weights = histories.weights.log1p()
    norms = np.sqrt(np.asarray(weights.multiply(weights).sum(axis=0), dtype=np.float32).ravel())
    norms[norms == 0] = 1
    together = np.asarray((weights.T @ weights).todense(), dtype=np.float32)
    likeness: Floats32 = (together / norms[:, None] / norms[None, :]).astype(np.float32)
    if likeness.shape[1] > NEIGHBOURS:
        least = np.partition(likeness, -NEIGHBOURS, axis=1)[:, -NEIGHBOURS, None]
        likeness[likeness < least] = 0
    return likeness


def item_knn(histories: Histories, similarity: Floats32, users: Sequence[str]) -> Floats32:
    """Sum of similarities to what each user acted on (Sarwar and others 2001)."""
    found: Floats32 = np.log1p(histories.of(tuple(users), histories.weights)) @ similarity
    return found


def als(spark: SparkSession, histories: Histories, users: Sequence[str], products: int) -> Floats32:
    """Implicit-feedback ALS (Hu, Koren and Volinsky 2008) of Spark's MLlib, fitted on all histories."""
    entries = histories.weights.log1p().tocoo()
    if not entries.nnz:
        return np.zeros((len(users), products), dtype=np.float32)
    table = pa.table({"user": entries.row, "item": entries.col, "rating": entries.data.astype(np.float64)})
    model = ALS(
        rank=ALS_RANK,
        maxIter=ALS_ITERATIONS,
        regParam=ALS_REGULARISATION,
        alpha=ALS_CONFIDENCE,
        implicitPrefs=True,
        seed=1,
        numUserBlocks=2,
        numItemBlocks=2,
    ).fit(spark.createDataFrame(table))
    of_users = _factors(model.userFactors, len(histories.users))
    places = histories.users.get_indexer(pd.Index(users))
    asked = np.where((places >= 0)[:, None], of_users[places], 0)
    found: Floats32 = (asked @ _factors(model.itemFactors, products).T).astype(np.float32)
    return found


def _factors(frame: DataFrame, count: int) -> Floats32:
    table = frame.toArrow()
    found = np.zeros((count, ALS_RANK), dtype=np.float32)
    found[table["id"].to_numpy()] = table["features"].combine_chunks().flatten().to_numpy().reshape(-1, ALS_RANK)
    return found
