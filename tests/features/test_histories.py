"""Histories against brute force: random shops, late drops, changing links and consents, quiet users."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from pipelines.delta import TableStore
from pipelines.features.build import build_features
from pipelines.frames import frame_of
from pipelines.governance.runs import Run
from pipelines.settings import load_settings
from pipelines.tables.features import (
    PERSONAL,
    PRODUCT_ACTIVITY,
    USER_ACTIVITY,
    USER_DAILY,
    USER_RECENT_PRODUCTS,
    USER_REVIEW_PROFILE,
    USER_VALUE,
)
from pipelines.tables.governance import DROPS
from pipelines.tables.schema import Table
from pipelines.tables.sources import CONSENTS, EVENTS, IDENTITIES, MESSAGES, PRODUCTS, REVIEWS

START = datetime(2024, 1, 1, tzinfo=UTC)
# Times of the runs in days after START: two fall within a day; the last one brings nothing but time.
RUNS = (40.0, 80.4, 120.6, 240.0)
LAST_DAY = 240
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
WINDOWS = (1, 7, 30, 90)
TYPES = ("view", "click", "purchase", "return", "search", "impression")


def at(days: float) -> datetime:
    return START + timedelta(seconds=round(days * 86_400))


@dataclass(frozen=True)
class Act:
    id: str
    subject: str
    kind: str
    at: datetime
    product: str | None
    session: str | None
    quantity: int | None
    price: float
    rating: int | None
    drop: int

    @property
    def day(self) -> int:
        return (self.at - START).days


@dataclass(frozen=True)
class Link:
    device: str
    user: str
    since: datetime
    until: datetime | None
    drop: int
    unlink_drop: int


@dataclass(frozen=True)
class Word:
    user: str
    purpose: str
    granted: bool
    since: datetime
    drop: int


@dataclass(frozen=True)
class Price:
    product: str
    since: datetime
    price: float
    drop: int


class Shop:
    """What happened, and when the system was told: everything of drop k comes with run k."""

    def __init__(self, seed: int, users: int = 30) -> None:
        self.random = random.Random(seed)
        self.users = [f"u{i}" for i in range(users)]
        self.devices = [f"d{i}" for i in range(users // 2)]
        # Few distinct days, or the tables would have hundreds of partitions.
        self.days = sorted(self.random.sample(range(118), 24))
        self.acts = [a for s in self.users + self.devices for a in self._acts(s)]
        self.links = [link for d in self.devices for link in self._links(d)]
        self.words = [w for u in self.users for w in self._words(u)]
        self.prices = [
            Price(f"p{i}", at(day), 1.0 + i + day, self._drop(day)) for i in range(4) for day in (0, 33.5, 90)
        ]

    def _drop(self, day: float) -> int:
        """The first run after it, or, one time in three, a later one."""
        first = next(k for k, run in enumerate(RUNS[:3]) if run > day)
        return first if self.random.random() < 0.67 else self.random.randint(first, 2)

    def _acts(self, subject: str) -> list[Act]:
        r, acts = self.random, []
        for i in range(r.randint(0, 14)):
            day = r.choice(self.days) + r.choice([0.0, r.random(), 0.25, 86_399 / 86_400])
            written = subject.startswith("u") and r.random() < 0.2
            kind = r.choice(["review", "message"]) if written else r.choice(TYPES)
            product = r.choice([None, *(f"p{i}" for i in range(5))])
            session = r.choice([None, f"s{int(day)}", f"t{int(day)}"])
            amount = round(r.random() * 100, 2)
            rating = r.choice([None, 1, 2, 3, 5]) if kind == "review" else None
            acts.append(
                Act(
                    f"{subject}-{i}",
                    subject,
                    kind,
                    at(day),
                    product,
                    session,
                    r.choice([None, 1, 3]),
                    amount,
                    rating,
                    self._drop(day),
                )
            )
        return acts

    def _links(self, device: str) -> list[Link]:
        links, day = [], self.random.random() * 60
        for _ in range(self.random.randint(0, 2)):
            day = self.random.choice([day, float(int(day))])
            drop = self._drop(day)
            until = self.random.choice([None, day + 0.1 + self.random.random() * 30])
            unlink_drop = drop if until is None else max(drop, self._drop(until))
            end = None if until is None else at(until)
            links.append(Link(device, self.random.choice(self.users), at(day), end, drop, unlink_drop))
            day += 20
        return links

    def _words(self, user: str) -> list[Word]:
        words = []
        for purpose in PERSONAL:
            for day in sorted({self.random.random() * 110 for _ in range(self.random.randint(0, 2))}):
                words.append(Word(user, purpose, self.random.random() < 0.6, at(day), self._drop(day)))
        return words


class Oracle:
    """Values as the definitions read, from all that is known with a drop, one user and one midnight at a time."""

    def __init__(self, shop: Shop, drop: int) -> None:
        self.acts = defaultdict(list)
        self.links = [
            (x.device, x.user, x.since, x.until if x.unlink_drop <= drop else None)
            for x in shop.links
            if x.drop <= drop
        ]
        self.words = [w for w in shop.words if w.drop <= drop]
        for act in shop.acts:
            if act.drop <= drop:
                self.acts[act.subject].append((act, self._purposes(act)))

    def _purposes(self, act: Act) -> frozenset[str]:
        if act.subject.startswith("u"):
            speakers = [act.subject]
        else:
            speakers = [
                u for d, u, a, b in self.links if d == act.subject and a <= act.at and (b is None or act.at < b)
            ]
        if not speakers:
            return frozenset({"personalisation"})
        return frozenset(p for p in PERSONAL if all(self._allows(u, p, act.at) for u in speakers))

    def _allows(self, user: str, purpose: str, when: datetime) -> bool:
        said = [w for w in self.words if (w.user, w.purpose) == (user, purpose) and w.since <= when]
        return max(said, key=lambda w: w.since).granted if said else purpose == "personalisation"

    def counting(self, user: str, purpose: str, midnight: datetime) -> list[tuple[Act, frozenset[str]]]:
        subjects = {user} | {
            d for d, u, a, b in self.links if u == user and a <= midnight and (b is None or midnight < b)
        }
        return [(a, p) for s in subjects for a, p in self.acts[s] if a.at < midnight and purpose in p]

    def values(self, user: str, purpose: str, day: int) -> dict[str, Any]:
        counting = self.counting(user, purpose, START + timedelta(days=day))
        out: dict[str, Any] = {}
        for w in WINDOWS:
            within = [(a, p) for a, p in counting if a.day >= day - w]
            events = [(a, p) for a, p in within if a.kind in TYPES]
            bought = [(a, p) for a, p in events if a.kind == "purchase"]
            for kind, name in (("view", "views"), ("purchase", "purchases"), ("search", "searches")):
                out[f"{name}_{w}d"] = sum(a.kind == kind for a, _ in events)
            out[f"active_days_{w}d"] = len({a.day for a, _ in within})
            out[f"sessions_{w}d"] = len({(a.subject, a.day, p, a.session) for a, p in events if a.session})
            out[f"orders_{w}d"] = len({(a.subject, a.day, p, a.session or a.id) for a, p in bought})
            out[f"spend_{w}d"] = round(sum((1 if a.quantity is None else a.quantity) * a.price for a, _ in bought), 6)
            out[f"reviews_{w}d"] = sum(a.kind == "review" for a, _ in within)
            out[f"messages_{w}d"] = sum(a.kind == "message" for a, _ in within)
            rated = [a.rating for a, _ in within if a.rating is not None]
            out[f"rating_mean_{w}d"] = sum(rated) / len(rated) if rated else None
        acts = [a for a, _ in counting]
        out["first_event_at"] = min((a.at for a in acts), default=None)
        out["last_event_at"] = max((a.at for a in acts), default=None)
        out["last_purchase_at"] = max((a.at for a in acts if a.kind == "purchase"), default=None)
        out["last_review_at"] = max((a.at for a in acts if a.kind == "review"), default=None)
        newest = sorted(
            (a for a in acts if a.product and a.kind in TYPES[:3] + TYPES[4:5]), key=lambda a: (a.at, a.id)
        )[::-1]
        out["last_product_ids"] = [a.product for a in newest[:20]]
        out["last_purchased_product_ids"] = [a.product for a in newest[:100] if a.kind == "purchase"][:20]
        return out

    def product_values(self, shop: Shop, product: str, day: int) -> dict[str, Any]:
        acts = [a for acts in self.acts.values() for a, p in acts if a.product == product and "personalisation" in p]
        acts = [a for a in acts if a.day < day]
        bought = {w: [a for a in acts if a.kind == "purchase" and a.day >= day - w] for w in (7, 30)}
        prices = [p for p in shop.prices if p.product == product and p.since <= START + timedelta(days=day)]
        return {
            **{f"views_{w}d": sum(a.kind in ("view", "click") and a.day >= day - w for a in acts) for w in (7, 30)},
            **{f"units_{w}d": sum(1 if a.quantity is None else a.quantity for a in bought[w]) for w in (7, 30)},
            "returns_30d": sum(a.kind == "return" and a.day >= day - 30 for a in acts),
            "reviews_90d": sum(a.kind == "review" and a.day >= day - 90 for a in acts),
            "price": max(prices, key=lambda p: p.since).price if prices else None,
        }


def next_since(since: datetime, all_since: Iterable[datetime]) -> datetime | None:
    return min((x for x in all_since if x > since), default=None)


class ShopStore(TableStore):
    """Feature tables on disk; what ingestion would have written, in memory."""

    def __init__(self, spark: SparkSession, home: Path) -> None:
        super().__init__(spark, load_settings(home=str(home), consent_default={"personalisation": "allow"}))
        self.silver: dict[Table, DataFrame] = {}

    def read(self, table: Table) -> DataFrame:
        return self.silver[table] if table in self.silver else super().read(table)

    def put(self, table: Table, rows: list[dict[str, Any]]) -> None:
        values = [tuple(row.get(c) for c in table.column_names) for row in rows]
        self.silver[table] = frame_of(self.spark, values, table.ddl).coalesce(1)


def write_silver(store: ShopStore, shop: Shop, drop: int, one_load: bool) -> None:
    """All that is known with a drop, as ingestion would leave it."""

    def name(k: int) -> str:
        return "all" if one_load else f"drop-{k}"

    def known(moment: datetime, k: int) -> datetime:
        return moment if one_load or k == 0 else at(RUNS[k])

    acts = [a for a in shop.acts if a.drop <= drop]
    events = [
        {"event_id": a.id, "subject_id": a.subject, "event_type": a.kind, "event_timestamp": a.at,
             "event_date": a.at.date(),
             "product_id": a.product, "session_id": a.session, "quantity": a.quantity, "price": Decimal(str(a.price)),
             "available_at": known(a.at, a.drop), "drop_id": name(a.drop)}
        for a in acts if a.kind in TYPES
    ]  # fmt: skip
    texts = {
        kind: [
            {f"{kind}_id": a.id, "user_id": a.subject, "product_id": a.product, "rating": a.rating, "channel": "chat",
             "event_timestamp": a.at, "available_at": known(a.at, a.drop), "drop_id": name(a.drop)}
            for a in acts if a.kind == kind
        ]
        for kind in ("review", "message")
    }  # fmt: skip
    words = [w for w in shop.words if w.drop <= drop]
    consents = [
        {"user_id": w.user, "purpose": w.purpose, "granted": w.granted, "valid_from": w.since, "drop_id": name(w.drop),
             "available_at": known(w.since, w.drop),
             "valid_to": next_since(w.since, (x.since for x in words if (x.user, x.purpose) == (w.user, w.purpose)))}
        for w in words
    ]  # fmt: skip
    identities = [
        {"identifier_type": "device", "identifier": x.device, "user_id": x.user, "linked_at": x.since,
             "unlinked_at": x.until if x.unlink_drop <= drop else None, "available_at": known(x.since, x.drop),
             "drop_id": name(x.unlink_drop if x.unlink_drop <= drop else x.drop)}
        for x in shop.links if x.drop <= drop
    ]  # fmt: skip
    prices = [p for p in shop.prices if p.drop <= drop]
    products = [
        {"product_id": p.product, "price": Decimal(str(p.price)), "valid_from": p.since, "drop_id": name(p.drop),
             "available_at": known(p.since, p.drop),
             "valid_to": next_since(p.since, (x.since for x in prices if x.product == p.product))}
        for p in prices
    ]  # fmt: skip
    for table, rows in (
        (EVENTS, events), (REVIEWS, texts["review"]), (MESSAGES, texts["message"]), (CONSENTS, consents),
        (IDENTITIES, identities), (PRODUCTS, products),
    ):  # fmt: skip
        store.put(table, rows)
    taken = [(name(k), RUNS[k], k == 0) for k in range(drop + 1)] if not one_load else [("all", LAST_DAY, True)]
    store.put(
        DROPS,
        [
            {"drop_id": d, "source": "test", "as_of": at(run), "history": history, "ingested_at": at(run)}
            for d, run, history in taken
        ],
    )


def run_features(store: TableStore, days: float) -> None:
    build_features(store, Run(store.settings, at(days), "test"), None)


History = dict[tuple[str, ...], dict[int, list[tuple[datetime, dict[str, Any]]]]]


def history(store: TableStore, table: Table) -> History:
    """Rows by key and day after START, each day's in order of created_at."""
    keys = [k for k in table.keys if k not in ("event_timestamp", "created_at")]
    out: History = defaultdict(lambda: defaultdict(list))
    instants = [c.name for c in table.columns if c.type == "timestamp"]
    frame = store.read(table).withColumns({c: F.unix_micros(c) for c in instants})
    for row in sorted(frame.collect(), key=lambda r: (r.event_timestamp, r.created_at)):
        values = row.asDict()
        for name in instants:
            if values[name] is not None:
                values[name] = EPOCH + timedelta(microseconds=values[name])
        day = (values["event_timestamp"] - START).days
        out[tuple(values[k] for k in keys)][day].append((values["created_at"], values))
    return out


def check(found: History, table: Table, key: tuple[str, ...], day: int, expected: dict[str, Any], context: str) -> None:
    """The row in force at a day's end has the expected values, or there is none and nothing is expected."""
    days = [d for d in found.get(key, {}) if d <= day]
    row = found[key][max(days)][-1][1] if days else {}
    for name in expected.keys() & set(table.column_names):
        want, got = expected[name], row.get(name)
        if not row:
            assert not want, (context, key, day, name, want, "no row")
        elif isinstance(want, float) and got is not None:
            assert got == pytest.approx(want, abs=1e-6), (context, key, day, name)
        else:
            assert got == want, (context, key, day, name)


USER_TABLES = (USER_ACTIVITY, USER_VALUE, USER_REVIEW_PROFILE, USER_RECENT_PRODUCTS)


def check_all(store: TableStore, shop: Shop, drop: int, until: int, context: str) -> None:
    oracle = Oracle(shop, drop)
    tables = {table: history(store, table) for table in USER_TABLES}
    for user in shop.users + shop.devices:
        for purpose in PERSONAL:
            for day in range(until + 1):
                expected = oracle.values(user, purpose, day)
                for table, found in tables.items():
                    check(found, table, (user, purpose), day, expected, context)
    products = history(store, PRODUCT_ACTIVITY)
    known = Shop.__new__(Shop)
    known.prices = [p for p in shop.prices if p.drop <= drop]
    for product in (f"p{i}" for i in range(5)):
        for day in range(until + 1):
            check(products, PRODUCT_ACTIVITY, (product,), day, oracle.product_values(known, product, day), context)
    assert all(max(days) <= until for found in [*tables.values(), products] for days in found.values())


def rows(store: TableStore) -> dict[str, int]:
    return {t.name: store.read(t).count() for t in (*USER_TABLES, PRODUCT_ACTIVITY, USER_DAILY)}


@pytest.mark.soak  # five loads of many shops: too long for every change
def test_replayed_drops_and_one_load_agree_with_brute_force(spark: SparkSession, tmp_path: Path) -> None:
    shop = Shop(seed=7)
    replayed = ShopStore(spark, tmp_path / "replayed")
    before: dict[Table, History] = {}
    for k, days in enumerate(RUNS):
        if k < 3:
            write_silver(replayed, shop, k, one_load=False)
        run_features(replayed, days)
        check_all(replayed, shop, min(k, 2), int(days), f"run {k}")
        for table in USER_TABLES:
            now = history(replayed, table)
            for key, by_day in before.get(table, {}).items():
                for day, versions in by_day.items():
                    assert now[key][day][: len(versions)] == versions, "history was rewritten"
            for by_day in now.values():
                for day, versions in by_day.items():
                    created = [c for c, _ in versions]
                    assert len(set(created)) == len(created), "two rows of one moment"
                    assert all(c >= START + timedelta(days=day) for c in created), "known before it was true"
            before[table] = now
    counted = rows(replayed)
    run_features(replayed, RUNS[-1])
    assert rows(replayed) == counted

    loaded = ShopStore(spark, tmp_path / "loaded")
    write_silver(loaded, shop, 2, one_load=True)
    run_features(loaded, LAST_DAY)
    check_all(loaded, shop, 2, LAST_DAY, "one load")
    for by_day in history(loaded, USER_ACTIVITY).values():
        for day, versions in by_day.items():
            assert [c for c, _ in versions] == [START + timedelta(days=day)], "known at the day's end"
