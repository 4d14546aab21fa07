"""The products a shop offered at a moment, with what Feast knows of them then."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipelines.consumers.pulled import Floats32, Numbers, Pulled
from pipelines.point_in_time.published import Published
from pipelines.tables.features import PRODUCT_ACTIVITY, PRODUCT_VECTORS
from pipelines.tables.sources import PRODUCTS

VECTORS = ("image_vector", "video_vector", "text_vector")


@dataclass(frozen=True)
class Versions:
    """Every version of every product: product_id, category, brand, valid_from, available_at."""

    rows: pd.DataFrame

    @classmethod
    def of(cls, published: Published) -> Versions:
        """Those of a home. Raises TableNotFoundError where nothing was ingested."""
        columns = ("product_id", "category", "brand", "valid_from", "available_at")
        return cls(published.rows(PRODUCTS, columns).to_pandas().sort_values("valid_from", kind="stable"))

    def at(self, moment: datetime) -> pd.DataFrame:
        """The version of each product that was in force and known at a moment, ordered by product_id."""
        known = self.rows[(self.rows["valid_from"] <= moment) & (self.rows["available_at"] <= moment)]
        first = known.groupby("product_id")["valid_from"].min().rename("since")
        newest = known.drop_duplicates("product_id", keep="last").join(first, on="product_id")
        return newest.sort_values("product_id", ignore_index=True)


@dataclass(frozen=True)
class Catalogue:
    """Products at a moment, in one order: numbers (products, names), vectors (products, dimensions) by name.

    `category` and `brand` are codes from 0 up, -1 for none; `age` is days since the first version.
    """

    ids: pd.Index
    numbers: Numbers
    vectors: dict[str, Floats32 | None]
    category: npt.NDArray[np.int64]
    brand: npt.NDArray[np.int64]
    age: Floats32

    @classmethod
    def of(cls, versions: pd.DataFrame, pulled: Pulled, moment: datetime) -> Catalogue:
        """Of `Versions.at` and the training set of these products at the moment, in the same order."""
        age = (pd.Timestamp(moment) - versions["since"]).dt.total_seconds().to_numpy() / 86_400
        return cls(
            pd.Index(versions["product_id"]),
            pulled.numbers((PRODUCT_ACTIVITY,), moment),
            {name: pulled.vectors(PRODUCT_VECTORS, name, moment) for name in VECTORS},
            pd.factorize(versions["category"])[0].astype(np.int64),
            pd.factorize(versions["brand"])[0].astype(np.int64),
            age.astype(np.float32),
        )

    def __len__(self) -> int:
        return len(self.ids)

    def places(self, product_ids: pd.Series) -> npt.NDArray[np.int64]:
        """The place of each product in the order, -1 where it is not offered."""
        found: npt.NDArray[np.int64] = self.ids.get_indexer(pd.Index(product_ids)).astype(np.int64)
        return found
