"""Histories against brute force: random shops, late drops, changing links and consents, quiet users."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from pipelines.delta import TableStore
from pipelines.features.build import build_features
from pipelines.governance.runs import Run
from pipelines.settings import load_settings
from pipelines.tables.aggregates import USER_DAILY
from pipelines.tables.definitions import PERSONAL
from pipelines.tables.features import (
    PRODUCT_ACTIVITY,
    USER_ACTIVITY,
    USER_RECENT_PRODUCTS,
    USER_REVIEW_PROFILE,
    USER_VALUE,
)
from pipelines.tables.governance import DROPS
from pipelines.tables.schema import Table
from pipelines.tables.sources import CONSENTS, EVENTS, IDENTITIES, MESSAGES, PRODUCTS, REVIEWS
from tests.features.shop_oracle import START, TYPES, Act, Oracle, Shop, at
from tests.table_frame import table_frame


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
        self.silver[table] = table_frame(self.spark, table, rows).coalesce(1)


def write_silver(store: ShopStore, shop: Shop, drop: int, one_load: bool) -> None:
    """All that is known with a drop, as ingestion would leave it."""

    def name(k: int) -> str:
        return "all" if one_load else f"drop-{k}"

    def known(moment: datetime, k: int) -> datetime:
        return moment if one_load or k == 0 else at(shop.runs[k])

    def text_of(a: Act) -> dict[str, Any]:
        return {f"{a.kind}_id": a.id, "user_id": a.subject, "product_id": a.product, "event_timestamp": a.at,
                "available_at": known(a.at, a.drop), "drop_id": name(a.drop)}  # fmt: skip

    acts = [a for a in shop.acts if a.drop <= drop]
    events = [
        {"event_id": a.id, "subject_id": a.subject, "event_type": a.kind, "event_timestamp": a.at,
             "event_date": a.at.date(),
             "product_id": a.product, "session_id": a.session, "quantity": a.quantity, "price": Decimal(str(a.price)),
             "available_at": known(a.at, a.drop), "drop_id": name(a.drop)}
        for a in acts if a.kind in TYPES
    ]  # fmt: skip
    reviews = [text_of(a) | {"rating": a.rating} for a in acts if a.kind == "review"]
    messages = [text_of(a) | {"channel": "chat"} for a in acts if a.kind == "message"]
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
        (EVENTS, events), (REVIEWS, reviews), (MESSAGES, messages), (CONSENTS, consents),
        (IDENTITIES, identities), (PRODUCTS, products),
    ):  # fmt: skip
        store.put(table, rows)
    taken = [(name(k), shop.runs[k], k == 0) for k in range(drop + 1)]
    if one_load:
        taken = [("all", shop.runs[-1], True)]
    store.put(
        DROPS,
        [
            {"drop_id": d, "source": "test", "as_of": at(run), "history": history, "ingested_at": at(run)}
            for d, run, history in taken
        ],
    )


def run_features(store: TableStore, days: float) -> None:
    build_features(store, Run(store.settings, at(days), "test"))


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
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


def check_all(store: TableStore, shop: Shop, drop: int, days: range, context: str) -> dict[Table, History]:
    """Compare every history with brute force; the users' histories."""
    oracle = Oracle(shop, drop)
    tables = {table: history(store, table) for table in USER_TABLES}
    columns = {name for table in USER_TABLES for name in table.column_names}
    for user in shop.users + shop.devices:
        for purpose in PERSONAL:
            for day in days:
                expected = oracle.values(user, purpose, day)
                assert expected.keys() <= columns, "a value that no table has"
                for table, found in tables.items():
                    check(found, table, (user, purpose), day, expected, context)
    products = history(store, PRODUCT_ACTIVITY)
    prices = [p for p in shop.prices if p.drop <= drop]
    for product in (f"p{i}" for i in range(5)):
        for day in days:
            check(products, PRODUCT_ACTIVITY, (product,), day, oracle.product_values(prices, product, day), context)
    assert all(max(by_day) < days.stop for found in [*tables.values(), products] for by_day in found.values())
    return tables


def versions(store: TableStore) -> dict[str, int | None]:
    return {t.name: store.version(t) for t in (*USER_TABLES, PRODUCT_ACTIVITY, USER_DAILY)}


def replay(spark: SparkSession, home: Path, shop: Shop, days: range) -> None:
    """Take the shop in, run after run, and compare every history with brute force after each."""
    store = ShopStore(spark, home)
    before: dict[Table, History] = {}
    for k, moment in enumerate(shop.runs):
        drop = min(k, shop.last_drop)
        if k == drop:
            write_silver(store, shop, drop, one_load=False)
        run_features(store, moment)
        found = check_all(store, shop, drop, range(days.start, int(moment) + 1, days.step), f"run {k}")
        for table, now in found.items():
            for key, by_day in before.get(table, {}).items():
                for day, rows in by_day.items():
                    assert now[key][day][: len(rows)] == rows, "history was rewritten"
            for by_day in now.values():
                for day, rows in by_day.items():
                    created = [c for c, _ in rows]
                    assert len(set(created)) == len(created), "two rows of one moment"
                    assert all(c >= START + timedelta(days=day) for c in created), "known before it was true"
            before[table] = now
    written = versions(store)
    run_features(store, shop.runs[-1])
    assert versions(store) == written


def load(spark: SparkSession, home: Path, shop: Shop) -> None:
    """Take all drops in as one load of history and compare with brute force."""
    store, last = ShopStore(spark, home), int(shop.runs[-1])
    write_silver(store, shop, shop.last_drop, one_load=True)
    run_features(store, last)
    check_all(store, shop, shop.last_drop, range(last + 1), "one load")
    for by_day in history(store, USER_ACTIVITY).values():
        for day, rows in by_day.items():
            assert [c for c, _ in rows] == [START + timedelta(days=day)], "known at the day's end"


def test_replayed_drops_agree_with_brute_force(spark: SparkSession, tmp_path: Path) -> None:
    # The second run falls within a day.
    replay(spark, tmp_path, Shop(seed=5, users=8, runs=(40.0, 160.4)), days=range(1, 161, 3))


@pytest.mark.soak
@pytest.mark.parametrize("seed", [7, 8, 9])
def test_many_replayed_drops_and_one_load_agree_with_brute_force(
    spark: SparkSession, tmp_path: Path, seed: int
) -> None:
    shop = Shop(seed, users=30, runs=(40.0, 80.4, 120.6, 240.0))
    replay(spark, tmp_path / "replayed", shop, days=range(241))
    load(spark, tmp_path / "loaded", shop)
