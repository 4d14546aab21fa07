"""What users did, from silver: to draw labels from what followed a moment, and histories from what went before."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.errors import TableNotFoundError
from pipelines.identity.subject_keys import DEVICE
from pipelines.point_in_time.published import Published
from pipelines.tables.definitions import INTEREST_WEIGHTS
from pipelines.tables.schema import Table
from pipelines.tables.sources import EVENTS, IDENTITIES, USERS

# Events in which the shop acts, not the user.
_OF_THE_SHOP = ("ad_impression", "coupon_issued")
_COLUMNS = ("subject_id", "event_type", "product_id", "event_timestamp", "available_at")
_MONEY = ("quantity", "price", "currency")
_FOREVER = pd.Timestamp.max.tz_localize("UTC").floor("us")


@dataclass(frozen=True)
class Acts:
    """Events, one row each in order of time, and which devices were whose.

    `events`: subject_id, event_type, product_id, spent (of purchases, in the shop's currency; else 0), at, known_at
    (aware). `links`: user_id, subject_id, linked_at, until. `accounts`: subject keys of everybody who has an account.
    """

    events: pd.DataFrame
    links: pd.DataFrame
    accounts: frozenset[str]

    @classmethod
    def of(cls, published: Published) -> Acts:
        """Those of a home. Raises TableNotFoundError where nothing was ingested."""
        rows = published.rows(EVENTS, (*_COLUMNS, *_MONEY))
        spent = _spent(rows, published.settings.currency)
        events = rows.select(_COLUMNS).append_column("spent", spent).to_pandas()
        events = events.rename(columns={"event_timestamp": "at"}).sort_values("at", kind="stable", ignore_index=True)
        # A row cannot be known before it happens, and a late one not before it came.
        events["known_at"] = events["at"].where(events["at"] >= events["available_at"], events["available_at"])
        links = _rows(published, IDENTITIES, ("user_id", "identifier", "identifier_type", "linked_at", "unlinked_at"))
        accounts = set(_rows(published, USERS, ("user_id",))["user_id"]) | set(links["user_id"])
        links = links[links["identifier_type"] == DEVICE].rename(columns={"identifier": "subject_id"})
        links = links.assign(until=links["unlinked_at"].fillna(_FOREVER))
        return cls(
            events.drop(columns="available_at"),
            links[["user_id", "subject_id", "linked_at", "until"]].reset_index(drop=True),
            frozenset(accounts),
        )

    @property
    def start(self) -> datetime:
        """When behaviour begins: one event in a hundred, such as campaigns of before, may be older."""
        return _instant(self.events["at"].iloc[len(self.events) // 100])

    @property
    def end(self) -> datetime:
        """The newest event."""
        return _instant(self.events["at"].iloc[-1])

    def only(self, accounts: frozenset[str]) -> Acts:
        """Those of some accounts and of the devices linked to them."""
        return replace(self, links=self.links[self.links["user_id"].isin(accounts)], accounts=accounts)

    def before(self, moment: datetime) -> pd.DataFrame:
        """Of each account the acts known at a moment: its own, and those of the devices linked to it then.

        Columns user_id, event_type, product_id, spent, at. An act counts once however many links lead to it.
        """
        past = self.events[(self.events["at"] < moment) & (self.events["known_at"] <= moment)]
        return self._by_user(past, moment)

    def following(self, moment: datetime, until: datetime) -> pd.DataFrame:
        """Of each account its acts, and those of the devices that were linked at the moment, in [moment, until)."""
        return self._by_user(self.events[self.events["at"].between(moment, until, inclusive="left")], moment)

    def _by_user(self, events: pd.DataFrame, moment: datetime) -> pd.DataFrame:
        events = events[~events["event_type"].isin(_OF_THE_SHOP)]
        own = events[events["subject_id"].isin(self.accounts)].rename(columns={"subject_id": "user_id"})
        held = self.links[(self.links["linked_at"] <= moment) & (moment < self.links["until"])]
        held = held[["user_id", "subject_id"]].drop_duplicates()
        linked = events.merge(held, on="subject_id")
        columns = ["user_id", "event_type", "product_id", "spent", "at"]
        return pd.concat([own[columns], linked[columns]]).sort_values("at", kind="stable", ignore_index=True)


def of_interest(acts: pd.DataFrame) -> pd.DataFrame:
    """The acts that tell of an interest, with their weight in the interests (`weight`)."""
    weights = acts["event_type"].map(INTEREST_WEIGHTS)
    return acts[weights.notna()].assign(weight=weights.dropna().astype(np.float64))


def _spent(events: pa.Table, currency: str | None) -> pa.ChunkedArray:
    """Quantity x price of purchases, as the features sum it: one unit where none is said, in one currency."""
    value = pc.multiply(
        pc.cast(pc.fill_null(events["quantity"], 1), pa.float64()), pc.cast(events["price"], pa.float64())
    )
    counts = pc.equal(events["event_type"], "purchase")
    if currency is not None:
        counts = pc.and_(counts, pc.fill_null(pc.equal(events["currency"], currency), True))
    return pc.if_else(counts, pc.fill_null(value, 0.0), 0.0)


def _rows(published: Published, table: Table, columns: tuple[str, ...]) -> pd.DataFrame:
    try:
        return published.rows(table, columns).to_pandas()
    except TableNotFoundError:
        return pd.DataFrame({name: pd.Series(dtype="object") for name in columns})


def _instant(at: pd.Timestamp) -> datetime:
    return at.to_pydatetime().astimezone(UTC)
