"""Users at a cut: what each had done, and what each bought afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.sparse import csr_array

from pipelines.consumers.acts import Acts, of_interest
from pipelines.consumers.catalogue import Catalogue


@dataclass(frozen=True)
class Occasion:
    """Users who had acted before a cut and bought after it.

    `past` counts acts that tell of an interest; `bought` pairs each user's id with a product of the label window.
    """

    cut: datetime
    users: tuple[str, ...]
    past: npt.NDArray[np.int64]
    bought: pd.DataFrame

    @classmethod
    def at(cls, acts: Acts, cut: datetime, horizon: timedelta, allowed: frozenset[str]) -> Occasion:
        """Those of the allowed users."""
        told = of_interest(acts.before(cut))
        counts = told[told["user_id"].isin(allowed)].groupby("user_id").size()
        after = acts.following(cut, cut + horizon)
        buys = (after["event_type"] == "purchase") & after["product_id"].notna() & after["user_id"].isin(counts.index)
        bought = after.loc[buys, ["user_id", "product_id"]].drop_duplicates()
        users = tuple(sorted(bought["user_id"].unique()))
        return cls(cut, users, counts.reindex(list(users)).to_numpy().astype(np.int64), bought)

    def relevant(self, catalogue: Catalogue) -> npt.NDArray[np.bool_]:
        """Whether each user bought each product that was offered at the cut: (users, products)."""
        found = np.zeros((len(self.users), len(catalogue)), dtype=bool)
        place = catalogue.places(self.bought["product_id"])
        row = pd.Index(self.users).get_indexer(pd.Index(self.bought["user_id"]))
        found[row[place >= 0], place[place >= 0]] = True
        return found


@dataclass(frozen=True)
class Histories:
    """What every account had done by a cut, by product offered then: sparse (users, products).

    `weights` are those of the interests; `purchases` are counts; `last_purchase` is days before the cut.
    """

    users: pd.Index
    weights: csr_array
    purchases: csr_array
    last_purchase: csr_array

    @classmethod
    def at(cls, acts: Acts, cut: datetime, catalogue: Catalogue, allowed: frozenset[str]) -> Histories:
        told = of_interest(acts.before(cut))
        told = told[told["user_id"].isin(allowed) & told["product_id"].notna()]
        told = told.assign(place=catalogue.places(told["product_id"]))
        told = told[told["place"] >= 0]
        users = pd.Index(np.unique(told["user_id"].to_numpy(dtype=object)))
        shape = (len(users), len(catalogue))

        def sparse(rows: pd.DataFrame, values: npt.ArrayLike) -> csr_array:
            row = users.get_indexer(rows["user_id"])
            return csr_array((np.asarray(values, dtype=np.float32), (row, rows["place"].to_numpy())), shape=shape)

        buys = told[told["event_type"] == "purchase"]
        newest = buys.drop_duplicates(["user_id", "place"], keep="last")
        days = (pd.Timestamp(cut) - newest["at"]).dt.total_seconds() / 86_400
        return cls(
            users,
            sparse(told, told["weight"]),
            sparse(buys, np.ones(len(buys))),
            sparse(newest, np.maximum(days, 1e-3)),
        )

    def of(self, users: tuple[str, ...], values: csr_array) -> npt.NDArray[np.float32]:
        """Rows of one of the matrices as a dense one, zeros for users without a row: (users, products)."""
        places = self.users.get_indexer(pd.Index(users))
        found = np.zeros((len(users), values.shape[1]), dtype=np.float32)
        known = np.flatnonzero(places >= 0)
        if len(known):
            found[known] = values[places[known]].toarray()
        return found
