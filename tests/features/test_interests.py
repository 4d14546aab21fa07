"""Interests end to end, from silver tables, against a plain loop over the events.

A small random shop of users with devices is taken in by four batches: a load of history, a regular drop, a drop of
late events with a late link and a late consent, and no drop at all but a vector that arrived late. The tests of every
run leave out the regular drop.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections import defaultdict
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from encoders.spec import EncoderSpec
from pipelines.delta import TableStore
from pipelines.features.changes import dirty_subject_days, dirty_users
from pipelines.features.fused import build_fused
from pipelines.features.interests import build_interests
from pipelines.features.tiles import build_tiles
from pipelines.frames import frame_of
from pipelines.governance.progress import Batch, finish, start
from pipelines.releases.manifest import Release
from pipelines.settings import load_settings
from pipelines.tables.aggregates import EMBEDDINGS, USER_TILES
from pipelines.tables.definitions import HALF_LIVES_DAYS, INTEREST_WEIGHTS
from pipelines.tables.features import USER_FUSED, USER_REVIEW_INTEREST, USER_VISUAL_INTEREST
from pipelines.tables.schema import Table
from pipelines.tables.sources import CONSENTS, EVENTS, IDENTITIES, PRODUCT_CONTENTS, REVIEWS

DIMENSIONS = {"clip": 8, "review": 5}
START = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
LATE = "p0"
TYPES = ("view", "purchase", "add_to_cart", "impression")
Row = dict[str, Any]


def spec(part: str) -> EncoderSpec:
    return EncoderSpec(part, "1", f"test:{part}", ("image", "text"), DIMENSIONS[part], "", "Apache-2.0")


RELEASE = Release("r1", clip=spec("clip"), review=spec("review"))


@dataclass
class Shop:
    """What the drops brought so far, as plain rows."""

    rows: dict[str, list[Row]] = field(default_factory=lambda: defaultdict(list))

    def until(self, drops: set[str]) -> Shop:
        kept = Shop()
        for table, rows in self.rows.items():
            kept.rows[table] = [r for r in rows if r["drop_id"] in drops]
        return kept


def at(days: float) -> dt.datetime:
    return START + dt.timedelta(seconds=round(days * 86400))


def random_shop(seed: int = 7) -> Shop:
    random, shop = np.random.default_rng(seed), Shop()
    subjects = [f"u{i}" for i in range(5)] + [f"device:{i}" for i in range(4)]

    def act(n: int, drop: str, first: float, last: float, known: dt.datetime | None) -> None:
        for i in range(n):
            subject, when = subjects[random.integers(len(subjects))], at(random.uniform(first, last))
            common = {"event_timestamp": when, "available_at": known or when, "drop_id": drop}
            if subject.startswith("u") and random.random() < 0.2:
                text = f"review {drop} {i}"
                content = hashlib.sha256(text.encode()).hexdigest()
                shop.rows["reviews"].append(
                    {"review_id": f"{drop}-{i}", "user_id": subject, "text": text, "content_hash": content, **common}
                )
                continue
            kind, product = TYPES[random.integers(len(TYPES))], f"p{random.integers(6)}"
            shop.rows["events"].append(
                {"event_id": f"{drop}-{i}", "subject_id": subject, "event_type": kind, "product_id": product, **common}
            )

    act(90, "first", 0, 12.5, None)
    act(40, "second", 12.5, 16.5, at(17))
    act(12, "late", 3, 16, at(18))
    for i in range(6):
        shop.rows["contents"].append(content(f"p{i}", at(-1 if i else 4), 1, "first"))
    shop.rows["contents"].append(content("p1", at(6.25), 2, "first"))
    shop.rows["contents"].append(content("p2", at(14.5), 2, "second"))
    shop.rows["links"] = [
        link("device:0", "u0", at(4.5), at(9.25), "first"),
        link("device:0", "u1", at(10), None, "first"),
        link("device:1", "u1", at(2), at(13.5), "first"),
        link("device:2", "u2", at(14), None, "second"),
        link("device:3", "u3", at(5.5), None, "late"),
    ]
    shop.rows["consents"] = [
        consent("u4", False, at(5), at(11.5), "first"),
        consent("u4", True, at(11.5), None, "first"),
        consent("u2", False, at(15), None, "late"),
    ]
    return shop


def content(product: str, since: dt.datetime, version: int, drop: str) -> Row:
    content_id = hashlib.sha256(f"{product}/{version}".encode()).hexdigest()
    return {"product_id": product, "valid_from": since, "modality": "product_image", "content_id": content_id,
            "members": [content_id], "available_at": since, "drop_id": drop}  # fmt: skip


def link(device: str, user: str, since: dt.datetime, until: dt.datetime | None, drop: str) -> Row:
    return {"identifier_type": "device", "identifier": device, "user_id": user, "linked_at": since,
            "unlinked_at": until, "available_at": since, "drop_id": drop}  # fmt: skip


def consent(user: str, granted: bool, since: dt.datetime, until: dt.datetime | None, drop: str) -> Row:
    return {"user_id": user, "purpose": "personalisation", "granted": granted, "valid_from": since,
            "valid_to": until, "available_at": since, "drop_id": drop}  # fmt: skip


SILVER = {"events": EVENTS, "reviews": REVIEWS, "contents": PRODUCT_CONTENTS, "links": IDENTITIES, "consents": CONSENTS}


def take_in(store: TableStore, shop: Shop, drop: str) -> None:
    for name, table in SILVER.items():
        rows = [r for r in shop.rows[name] if r["drop_id"] == drop]
        append(store, table, rows, drop)


def append(store: TableStore, table: Table, rows: list[Row], transaction: str) -> None:
    if "event_date" in table.column_names:
        rows = [{**r, "event_date": r["event_timestamp"].date()} for r in rows]
    values = [tuple(r.get(c) for c in table.column_names) for r in rows]
    frame = frame_of(store.spark, values, table.ddl).coalesce(1)
    store.append_once(frame, table, transaction)


def vector_of(content_id: str, part: str) -> np.ndarray:
    random = np.random.default_rng(int(content_id[:12], 16))
    vector = random.normal(size=DIMENSIONS[part]).astype(np.float32)
    return vector / np.linalg.norm(vector)


def embed(store: TableStore, contents: list[tuple[str, str, str]], transaction: str) -> None:
    rows = [
        {"content_hash": c, "modality": m, "encoder": part, "encoder_version": "1", "status": "ok",
         "vector": vector_of(c, part).tobytes(), "dimensions": DIMENSIONS[part], "created_at": at(30)}
        for c, m, part in contents
    ]  # fmt: skip
    append(store, EMBEDDINGS, rows, transaction)


def contents_of(shop: Shop, drops: set[str]) -> list[tuple[str, str, str]]:
    held = shop.until(drops)
    images = [(r["content_id"], "product_image", "clip") for r in held.rows["contents"] if r["product_id"] != LATE]
    return images + [(r["content_hash"], "review", "review") for r in held.rows["reviews"]]


def late_contents(shop: Shop) -> list[tuple[str, str, str]]:
    return [(r["content_id"], "product_image", "clip") for r in shop.rows["contents"] if r["product_id"] == LATE]


class Oracle:
    """The definition, as a loop: every act of every linked subject, decayed to every day's end."""

    def __init__(self, shop: Shop, embedded: set[str], as_of: dt.datetime) -> None:
        self.shop, self.embedded, self.as_of = shop, embedded, as_of

    def linked(self, user: str, moment: dt.datetime) -> set[str]:
        links = [r for r in self.shop.rows["links"] if r["user_id"] == user]
        return {user} | {r["identifier"] for r in links if _holds(r["linked_at"], r["unlinked_at"], moment)}

    def allowed(self, subject: str, moment: dt.datetime) -> bool:
        speakers = [subject] if subject.startswith("u") else [
            r["user_id"]
            for r in self.shop.rows["links"]
            if r["identifier"] == subject and _holds(r["linked_at"], r["unlinked_at"], moment)
        ]  # fmt: skip
        said = [
            r["granted"]
            for r in self.shop.rows["consents"]
            if r["user_id"] in speakers and _holds(r["valid_from"], r["valid_to"], moment)
        ]
        return all(said)

    def acts(self, modality: str) -> list[tuple[str, dt.datetime, str, float]]:
        if modality == "review":
            rows = self.shop.rows["reviews"]
            found = [(r["user_id"], r["event_timestamp"], r["content_hash"], 1.0) for r in rows]
        else:
            found = [
                (r["subject_id"], r["event_timestamp"], self.version(r["product_id"], r["event_timestamp"]),
                 INTEREST_WEIGHTS.get(r["event_type"], 0.0))
                for r in self.shop.rows["events"]
            ]  # fmt: skip
        return [a for a in found if a[3] > 0 and self.allowed(a[0], a[1])]

    def version(self, product: str, moment: dt.datetime) -> str:
        versions = sorted(
            (r["valid_from"], r["content_id"]) for r in self.shop.rows["contents"] if r["product_id"] == product
        )
        valid = [c for since, c in versions if since <= moment]
        return valid[-1] if valid else versions[0][1]

    def state(self, modality: str, user: str, end: dt.datetime, half_life: int) -> tuple[np.ndarray, float]:
        """Mean and weight at a day's end."""
        part = "review" if modality == "review" else "clip"
        total, weight, subjects = np.zeros(DIMENSIONS[part]), 0.0, self.linked(user, end)
        for subject, moment, content_id, w in self.acts(modality):
            if subject in subjects and moment < end and content_id in self.embedded:
                decayed = w * 2.0 ** (-(end - moment).total_seconds() / 86400 / half_life)
                total += decayed * vector_of(content_id, part)
                weight += decayed
        return total / weight if weight else total, weight

    def steps(self, modality: str) -> set[tuple[str, dt.datetime]]:
        """Where a row must stand: days with an act of a linked subject, and days on which links change."""
        users = {r["user_id"] for r in self.shop.rows["links"]} | {a[0] for a in self.acts(modality)}
        ends = [START + k * DAY for k in range(-1, (self.as_of - START).days + 1)]
        found = set()
        for user in users:
            for end in ends:
                linked = self.linked(user, end)
                acted = any(
                    a[0] in linked and end - DAY <= a[1] < end and a[2] in self.embedded for a in self.acts(modality)
                )
                if (acted or linked != self.linked(user, end - DAY)) and self.state(modality, user, end, 30)[1] > 0:
                    found.add((user, end))
        return found


def _holds(since: dt.datetime, until: dt.datetime | None, moment: dt.datetime) -> bool:
    return since <= moment and (until is None or moment < until)


def in_force(store: TableStore, table: Table) -> dict[tuple[str, dt.datetime], Row]:
    rows = store.read(table).orderBy("created_at").withColumn("end", F.unix_micros("event_timestamp")).collect()
    return {(r.user_id, dt.datetime.fromtimestamp(r.end / 1e6, dt.UTC)): r.asDict() for r in rows}


def assert_matches(store: TableStore, table: Table, modality: str, oracle: Oracle) -> None:
    published = in_force(store, table)
    missing = oracle.steps(modality) - set(published)
    assert not missing
    for (user, end), row in published.items():
        for half_life in HALF_LIVES_DAYS:
            mean, weight = oracle.state(modality, user, end, half_life)
            assert row[f"weight_{half_life}d"] == pytest.approx(weight, rel=1e-5), (user, end)
            if weight:
                np.testing.assert_allclose(row[f"mean_{half_life}d"], mean, atol=1e-5, err_msg=f"{user} {end}")
            else:
                assert row[f"mean_{half_life}d"] is None


def run(store: TableStore, batch: Batch) -> dict[str, int]:
    start(store, batch)
    days = dirty_subject_days(store, batch)
    build_tiles(store, batch, days)
    users = dirty_users(store, batch, days)
    written = build_interests(store, batch, RELEASE, users)
    written[USER_FUSED.name] = build_fused(store, batch, RELEASE, users)
    finish(store, batch)
    return written


def new_store(spark: SparkSession, home: Path) -> TableStore:
    return TableStore(spark, load_settings(home=str(home), consent_default={"personalisation": "allow"}))


@dataclass
class Taken:
    """The home after all batches."""

    shop: Shop
    store: TableStore
    written: list[dict[str, int]]
    last: Batch


BATCHES = (("first", at(12.5), True), ("second", at(17), False), ("late", at(18), False))


def replay(spark: SparkSession, home: Path, batches: tuple[tuple[str, dt.datetime, bool], ...]) -> Taken:
    """Take drops in, one batch each, then a vector that arrives late; compare with the plain loop after each drop."""
    shop, store = random_shop(), new_store(spark, home)
    drops: set[str] = set()
    previous, written, embedded = None, [], set()
    for drop, as_of, history in batches:
        drops.add(drop)
        take_in(store, shop, drop)
        found = [c for c in contents_of(shop, {drop}) if c[0] not in embedded]
        embedded |= {c[0] for c in found}
        embed(store, found, drop)
        batch = Batch("features", (drop,), as_of, previous, history, f"batch-{drop}")
        written.append(run(store, batch))
        previous = as_of
        oracle = Oracle(shop.until(drops), embedded, as_of)
        assert_matches(store, USER_VISUAL_INTEREST, "product_image", oracle)
        assert_matches(store, USER_REVIEW_INTEREST, "review", oracle)
    embed(store, late_contents(shop), "arrived late")
    last = Batch("features", (), at(19), previous, False, "batch-late-vector")
    written.append(run(store, last))
    return Taken(shop, store, written, last)


def test_a_load_and_a_late_drop_agree_with_a_plain_loop(spark: SparkSession, tmp_path: Path) -> None:
    replay(spark, tmp_path, (BATCHES[0], BATCHES[2]))


@pytest.fixture(scope="module")
def taken(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Taken:
    return replay(spark, tmp_path_factory.mktemp("batches"), BATCHES)


def complete(shop: Shop) -> Oracle:
    drops = {drop for drop, _, _ in BATCHES}
    embedded = {c[0] for c in [*contents_of(shop, drops), *late_contents(shop)]}
    return Oracle(shop, embedded, at(19))


@pytest.mark.soak
def test_a_vector_that_arrives_late_corrects_the_rows_concerned(taken: Taken) -> None:
    assert taken.written[-1][USER_VISUAL_INTEREST.name] > 0
    assert taken.written[-1][USER_REVIEW_INTEREST.name] == 0
    assert_matches(taken.store, USER_VISUAL_INTEREST, "product_image", complete(taken.shop))
    assert_matches(taken.store, USER_REVIEW_INTEREST, "review", complete(taken.shop))


@pytest.mark.soak
def test_history_is_known_at_its_own_time_and_a_regular_row_at_the_runs(taken: Taken) -> None:
    known = taken.store.read(USER_VISUAL_INTEREST).select(
        (F.col("created_at") == F.col("event_timestamp")).alias("own"), F.unix_micros("created_at").alias("at")
    )
    runs = {round(a.timestamp() * 1e6) for a in (*(b[1] for b in BATCHES[1:]), at(19))}
    assert {r["at"] for r in known.where("not own").collect()} == runs
    keys = list(USER_VISUAL_INTEREST.keys)
    assert taken.store.read(USER_VISUAL_INTEREST).groupBy(*keys).count().where("count > 1").count() == 0


@pytest.mark.soak
def test_a_second_run_changes_nothing(taken: Taken) -> None:
    again = replace(taken.last, batch_id="again", drop_ids=("late",))
    assert set(run(taken.store, again).values()) == {0}
    assert set(run(taken.store, taken.last).values()) == {0}


@pytest.mark.soak
def test_one_load_gives_what_the_batches_gave(taken: Taken, spark: SparkSession, tmp_path: Path) -> None:
    store, drops = new_store(spark, tmp_path), tuple(b[0] for b in BATCHES)
    for drop in drops:
        take_in(store, taken.shop, drop)
    embed(store, [*contents_of(taken.shop, set(drops)), *late_contents(taken.shop)], "all")
    run(store, Batch("features", drops, at(19), None, True, "one load"))
    for table, modality in ((USER_VISUAL_INTEREST, "product_image"), (USER_REVIEW_INTEREST, "review")):
        assert_matches(store, table, modality, complete(taken.shop))
        once, batched = in_force(store, table), in_force(taken.store, table)
        # Beyond these the batches left only rows that repeat what was, where a correction took a step away.
        assert set(once) == complete(taken.shop).steps(modality) <= set(batched)
    tiles = [s.read(USER_TILES).select("subject_id", "day", "modality", "content_id", "drop_id", "weight_7d", "actions")
             for s in (store, taken.store)]  # fmt: skip
    assert sorted(map(tuple, tiles[0].collect())) == sorted(map(tuple, tiles[1].collect()))
