"""A home made by hand: users whose vectors alone tell what they will buy."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.consumers.acts import Acts
from pipelines.consumers.pulled import Puller
from pipelines.consumers.workbench import Workbench
from pipelines.delta import TableStore
from pipelines.point_in_time.published import Published
from pipelines.run import new_run
from pipelines.serving.repo import apply
from pipelines.tables.features import (
    PRODUCT_ACTIVITY,
    PRODUCT_VECTORS,
    USER_ACTIVITY,
    USER_RECENT_PRODUCTS,
    USER_VALUE,
    USER_VISUAL_INTEREST,
)
from pipelines.tables.sources import CONSENTS, EVENTS, PRODUCTS, USERS
from tests.evaluation.planted import PERSONAL, RELEASE, Planted

START = datetime(2026, 3, 1, tzinfo=UTC)
DAYS, WEEKS, PEOPLE, PRODUCTS_OF_A_TASTE = 80, 12, 40, 12
DAY = timedelta(days=1)
REFUSING = "u00"  # a user who refuses personalisation
Row = dict[str, Any]


def vector_of(taste: int) -> list[float]:
    return [1.0, 0.2, 0.0, 0.0] if taste else [0.2, 1.0, 0.0, 0.0]


def week_of(day: int) -> int:
    """Weeks begin at cuts that lie full weeks before the shop's last midnight."""
    return (day - DAYS + 1) // 7 + WEEKS


def days_of(number: int) -> int:
    """How many days a user is active: every second one falls silent after a while."""
    return 30 + number if number % 4 >= 2 else DAYS


class TasteShop(Planted):
    """Everybody looks at things by chance and buys after their taste: products of odd numbers, or of even ones.

    Tastes change by the week, and the interests follow at once: what was done before does not tell them.
    """

    def __init__(self, folder: Path, store_of: Any) -> None:
        super().__init__(folder)
        self.store: TableStore = store_of(self.settings)
        self._rng = np.random.default_rng(2)
        self.users = [f"u{number:02d}" for number in range(PEOPLE)]
        self.products = [f"p{number:02d}" for number in range(2 * PRODUCTS_OF_A_TASTE)]
        self._tastes = self._rng.integers(0, 2, (PEOPLE, WEEKS + 1))
        self._silver()
        self._features()
        apply(self.settings, new_run(self.settings, self.now))

    @property
    def now(self) -> datetime:
        return START + (DAYS + 1) * DAY

    def event(self, user: str, kind: str, product: str | None, at: datetime, known: datetime | None = None) -> Row:
        return {"subject_id": user, "event_type": kind, "product_id": product, "event_timestamp": at,
                "available_at": known or at, "attributes": None,
                "quantity": None, "price": Decimal(5) if kind == "purchase" else None, "currency": None}  # fmt: skip

    def bench(self, folder: Path) -> Workbench:
        """As `workbench` would open it."""
        folder.mkdir()
        run = new_run(self.settings, self.now)
        published = Published(self.settings, RELEASE, self.now)
        acts = Acts.of(published)
        return Workbench(
            self.store,
            RELEASE,
            published,
            acts,
            acts.accounts - {REFUSING},
            Puller(self.store, run, RELEASE, folder),
        )

    def _silver(self) -> None:
        version = {"valid_from": START, "available_at": START}
        self.publish(USERS, [version | {"user_id": user} for user in self.users])
        granted = [{"user_id": user, "purpose": "personalisation", "granted": user != REFUSING} for user in self.users]
        consent = dict.fromkeys(CONSENTS.column_names) | version
        self.publish(CONSENTS, [consent | row for row in granted])
        self.publish(PRODUCTS, [version | {"product_id": p, "category": "all", "brand": "one"} for p in self.products])
        self.publish(EVENTS, [row for number in range(len(self.users)) for row in self._events(number)])

    def _events(self, number: int) -> Iterator[Row]:
        user, rng = self.users[number], self._rng
        for day in range(days_of(number)):
            taste = self._tastes[number, week_of(day)]
            at = START + day * DAY + int(rng.integers(1, 80_000)) * timedelta(seconds=1)
            if rng.random() < 0.4:
                yield self.event(user, "view", str(rng.choice(self.products)), at)
            if rng.random() < 0.5:
                mine = [p for place, p in enumerate(self.products) if place % 2 == taste]
                yield self.event(user, "purchase", str(rng.choice(mine)), at)
            if day % 3 == 0:
                shown = int(rng.integers(0, len(self.products)))
                yield self.event(user, "ad_impression", self.products[shown], at)
                if shown % 2 == taste and rng.random() < 0.8:
                    yield self.event(user, "ad_click", self.products[shown], at + timedelta(seconds=9))

    def _features(self) -> None:
        known = {"event_timestamp": START + DAY, "created_at": START + DAY}
        people = [known | {"user_id": user} for user in self.users]
        means = {f"mean_{days}d": None for days in (7, 30)} | {f"weight_{days}d": 1.0 for days in (7, 30)}
        lists: Row = {"medoid_product_ids": [], "medoid_weights": []}
        interests = [
            row | means | lists | {"event_timestamp": at, "created_at": at, "mean_7d": vector_of(tastes[week])}
            for row, tastes in zip(people, self._tastes, strict=True)
            for week in range(WEEKS + 1)
            for at in [START + (DAYS - 1 + 7 * (week - WEEKS)) * DAY]
        ]
        self.history(USER_VISUAL_INTEREST, interests, **PERSONAL)
        self.history(USER_RECENT_PRODUCTS, [row | _empty(USER_RECENT_PRODUCTS) for row in people], **PERSONAL)
        self.history(USER_VALUE, [row | _empty(USER_VALUE) for row in people], **PERSONAL)
        activity = _empty(USER_ACTIVITY)
        quiet: list[Row] = [
            row | activity | {"event_timestamp": START + day * DAY, "created_at": START + day * DAY,
                              "active_days_7d": 0 if day >= days_of(number) + 7 else 5,
                              "last_event_at": START + min(day, days_of(number)) * DAY}
            for number, row in enumerate(people) for day in range(1, DAYS)
        ]  # fmt: skip
        self.history(USER_ACTIVITY, quiet, **PERSONAL)
        offered = [known | {"product_id": product} for product in self.products]
        counts = _empty(PRODUCT_ACTIVITY) | {"price": 5.0, "purchases_30d": 1, "views_30d": 1, "cart_adds_30d": 0}
        self.history(PRODUCT_ACTIVITY, [row | counts for row in offered])
        vectors = [
            row | {"image_vector": _unit(vector_of(number % 2), number), "video_vector": None, "text_vector": None}
            for number, row in enumerate(offered)
        ]
        self.history(PRODUCT_VECTORS, vectors)


def _unit(taste: list[float], number: int) -> list[float]:
    vector = np.array(taste) + np.array([0, 0, 0.05 * number, 0.1])
    return [float(x) for x in vector / np.linalg.norm(vector)]


def _empty(table: Any) -> Row:
    """All features unknown, in the columns that the table declares."""
    return {column.name: None for column in table.feature_columns}
