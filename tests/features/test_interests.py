"""Interests end to end, from silver tables, against a plain loop over the events.

Two batches: a load of history, and a late drop together with a vector that arrived late. The long tests take in a
regular drop between them and the late vector in a batch of its own, and compare all of it with one load.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from pipelines.delta import TableStore
from pipelines.features.changes import dirty_subject_days, dirty_users
from pipelines.features.fused import build_fused
from pipelines.features.fused_rows import SOURCES, fuse
from pipelines.features.interests import build_interests
from pipelines.features.tiles import build_tiles
from pipelines.governance.progress import Batch, finish, start
from pipelines.releases.backfill import backfill
from pipelines.releases.manifest import Release
from pipelines.settings import load_settings
from pipelines.tables.aggregates import EMBEDDINGS, USER_TILES
from pipelines.tables.definitions import HALF_LIVES_DAYS
from pipelines.tables.features import USER_FUSED, USER_REVIEW_INTEREST, USER_VISUAL_INTEREST
from pipelines.tables.schema import Table
from pipelines.tables.sources import CONSENTS, EVENTS, IDENTITIES, PRODUCT_CONTENTS, REVIEWS
from tests.features.interest_oracle import Oracle
from tests.features.interest_shop import (
    DIMENSIONS,
    RELEASE,
    Row,
    Shop,
    at,
    contents_of,
    late_contents,
    random_shop,
    vector_of,
)
from tests.table_frame import table_frame

SILVER = {"events": EVENTS, "reviews": REVIEWS, "contents": PRODUCT_CONTENTS, "links": IDENTITIES, "consents": CONSENTS}
INTERESTS = {"product_image": USER_VISUAL_INTEREST, "review": USER_REVIEW_INTEREST}
TIMES = ("event_timestamp", "created_at")
History = dict[tuple[str, dt.datetime], Row]


@dataclass(frozen=True)
class Step:
    """What a batch takes in: a drop, or none; and the vector that arrives late, or not."""

    drop: str | None
    as_of: dt.datetime
    history: bool = False
    late_vector: bool = False


LOAD = Step("first", at(12.5), history=True)
REGULAR = Step("second", at(17))
LATE = Step("late", at(18))
LATE_VECTOR = Step(None, at(19), late_vector=True)


@dataclass
class Taken:
    """The home after all batches, and what the loop says of it."""

    shop: Shop
    store: TableStore
    oracle: Oracle
    written: list[dict[str, int]]
    last: Batch


def replay(spark: SparkSession, home: Path, *steps: Step) -> Taken:
    """One batch for each step; compare with the plain loop after each."""
    shop, store = random_shop(), new_store(spark, home)
    drops: list[str] = []
    embedded: set[str] = set()
    previous, written = None, []
    for k, step in enumerate(steps):
        if step.drop:
            drops.append(step.drop)
            take_in(store, shop, step.drop)
        named = contents_of(shop, set(drops)) + (late_contents(shop) if step.late_vector else [])
        embed(store, [c for c in named if c[0] not in embedded], f"batch-{k}")
        embedded |= {c[0] for c in named}
        batch = Batch("features", (step.drop,) if step.drop else (), step.as_of, previous, step.history, f"batch-{k}")
        written.append(run(store, batch))
        previous = step.as_of
        oracle = Oracle(shop.until(set(drops)), embedded, step.as_of)
        assert_matches(store, oracle)
    return Taken(shop, store, oracle, written, batch)


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


def take_in(store: TableStore, shop: Shop, drop: str) -> None:
    for name, table in SILVER.items():
        append(store, table, [r for r in shop.rows[name] if r["drop_id"] == drop], drop)


def embed(store: TableStore, contents: list[tuple[str, str, str]], transaction: str, version: str = "1") -> None:
    rows = [
        {"content_hash": c, "modality": m, "encoder": part, "encoder_version": version, "status": "ok",
         "vector": vector_of(c, part).tobytes(), "dimensions": DIMENSIONS[part], "created_at": at(30)}
        for c, m, part in contents
    ]  # fmt: skip
    append(store, EMBEDDINGS, rows, transaction)


def append(store: TableStore, table: Table, rows: list[Row], transaction: str) -> None:
    if "event_date" in table.column_names:
        rows = [{**r, "event_date": r["event_timestamp"].date()} for r in rows]
    store.append_once(table_frame(store.spark, table, rows).coalesce(1), table, transaction)


def in_force(store: TableStore, table: Table) -> History:
    return by_moment(store.read(table))


def by_moment(history: DataFrame) -> History:
    rows = history.orderBy("created_at").withColumn("end", F.unix_micros("event_timestamp")).collect()
    return {(r.user_id, dt.datetime.fromtimestamp(r.end / 1e6, dt.UTC)): r.asDict() for r in rows}


def assert_matches(store: TableStore, oracle: Oracle) -> None:
    for modality, table in INTERESTS.items():
        published = in_force(store, table)
        missing = oracle.steps(modality) - set(published)
        assert not missing
        assert_values(published, oracle, modality)


def assert_values(published: History, oracle: Oracle, modality: str) -> None:
    for (user, end), row in published.items():
        for half_life in HALF_LIVES_DAYS:
            mean, weight = oracle.state(modality, user, end, half_life)
            assert row[f"weight_{half_life}d"] == pytest.approx(weight, rel=1e-5), (user, end)
            if weight:
                np.testing.assert_allclose(row[f"mean_{half_life}d"], mean, atol=1e-5, err_msg=f"{user} {end}")
            else:
                assert row[f"mean_{half_life}d"] is None


@pytest.fixture(scope="module")
def corrected(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Taken:
    return replay(spark, tmp_path_factory.mktemp("corrected"), LOAD, replace(LATE, late_vector=True))


@pytest.fixture(scope="module")
def taken(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Taken:
    return replay(spark, tmp_path_factory.mktemp("taken"), LOAD, REGULAR, LATE, LATE_VECTOR)


def test_a_load_and_a_late_drop_agree_with_a_plain_loop(corrected: Taken) -> None:
    for table in INTERESTS.values():
        assert all(batch[table.name] > 0 for batch in corrected.written)


def test_history_is_known_at_its_own_time_and_a_later_row_at_its_batchs(corrected: Taken) -> None:
    assert_known(corrected, {LATE.as_of})


def assert_known(taken: Taken, runs: set[dt.datetime]) -> None:
    table = USER_VISUAL_INTEREST
    known = taken.store.read(table).select(
        (F.col("created_at") == F.col("event_timestamp")).alias("own"), F.unix_micros("created_at").alias("at")
    )
    rows = known.collect()
    assert {r["at"] for r in rows if not r["own"]} == {round(moment.timestamp() * 1e6) for moment in runs}
    assert taken.store.read(table).select(*table.keys).distinct().count() == len(rows), "two rows of one moment"


def test_fused_rows_stand_where_an_interest_has_a_row_and_mix_those_in_force(corrected: Taken) -> None:
    interests = {modality: in_force(corrected.store, table) for modality, table in INTERESTS.items()}
    fused = in_force(corrected.store, USER_FUSED)
    assert set(fused) == set().union(*interests.values())
    for (user, end), row in fused.items():
        newest = {modality: newest_mean(rows, user, end) for modality, rows in interests.items()}
        given = [
            np.zeros((1, DIMENSIONS["review" if source == "review" else "clip"]), dtype=np.float32)
            if newest.get(source) is None
            else np.array([newest[source]], dtype=np.float32)
            for source in SOURCES
        ]
        vector, says = fuse(given, [np.array([newest.get(source) is not None]) for source in SOURCES])
        assert row["modalities_observed"] == [s for s in SOURCES if newest.get(s) is not None], (user, end)
        if says[0]:
            np.testing.assert_allclose(row["vector"], vector[0], atol=1e-5, err_msg=f"{user} {end}")
        else:
            assert row["vector"] is None


def newest_mean(history: History, user: str, end: dt.datetime) -> list[float] | None:
    known = [moment for owner, moment in history if owner == user and moment <= end]
    mean: list[float] | None = history[user, max(known)]["mean_30d"] if known else None
    return mean


@pytest.mark.soak
def test_a_backfill_repeats_the_rows_of_the_version_that_stands(corrected: Taken) -> None:
    """Vectors of version 2 are those of version 1, here: so must the histories be, row for row as known at its time."""
    clip, review = (replace(spec, version="2") for spec in RELEASE.encoders.values())
    second = replace(RELEASE, name="r2", clip=clip, review=review)
    named = [*contents_of(corrected.shop, {"first", "late"}), *late_contents(corrected.shop)]
    embed(corrected.store, named, "version 2", version="2")
    before = {table: corrected.store.read(table).collect() for table in (*INTERESTS.values(), USER_FUSED)}
    for table in before:
        for _ in ("once", "and as after a crash"):
            backfill(corrected.store, table, RELEASE, second)
    first_drop = Oracle(corrected.shop.until({"first"}), corrected.oracle.embedded, LOAD.as_of)
    for modality, table in INTERESTS.items():
        both = corrected.store.read(table)
        rows = {v: both.where(F.col("encoder_version") == v) for v in ("1", "2")}
        keys = [sorted(map(tuple, r.select("user_id", "purpose", *TIMES).collect())) for r in rows.values()]
        assert keys[0] == keys[1]
        corrections = F.col("created_at") == F.lit(LATE.as_of)
        assert_values(by_moment(rows["2"].where(corrections)), corrected.oracle, modality)
        assert_values(by_moment(rows["2"].where(~corrections)), first_drop, modality)
        second_rows = by_moment(rows["2"])
        for moment, row in by_moment(rows["1"]).items():
            again = second_rows[moment]
            for name in (c.name for c in table.feature_columns if c.name.startswith("medoid")):
                assert row[name] == again[name], (moment, name)
        assert corrected.store.read(table).where("encoder_version = '1'").count() == len(before[table])
    fused = {v: by_moment(f) for v, f in fused_by_version(corrected.store, (RELEASE, second)).items()}
    assert set(fused["r1"]) == set(fused["r2"])
    for moment, row in fused["r1"].items():
        assert row["modalities_observed"] == fused["r2"][moment]["modalities_observed"]
        np.testing.assert_allclose(row["vector"] or [], fused["r2"][moment]["vector"] or [], atol=1e-5)


def fused_by_version(store: TableStore, releases: tuple[Release, ...]) -> dict[str, DataFrame]:
    versions = {release.name: release.encoder_for("fused")[1] for release in releases}
    return {name: store.read(USER_FUSED).where(F.col("encoder_version") == v) for name, v in versions.items()}


@pytest.mark.soak
def test_a_vector_that_arrives_late_writes_the_rows_concerned(taken: Taken) -> None:
    assert taken.written[-1][USER_VISUAL_INTEREST.name] > 0
    assert taken.written[-1][USER_REVIEW_INTEREST.name] == 0


@pytest.mark.soak
def test_regular_rows_are_known_at_their_batches(taken: Taken) -> None:
    assert_known(taken, {REGULAR.as_of, LATE.as_of, LATE_VECTOR.as_of})


@pytest.mark.soak
def test_a_second_run_changes_nothing(taken: Taken) -> None:
    again = replace(taken.last, batch_id="again", drop_ids=("late",))
    assert set(run(taken.store, again).values()) == {0}
    assert set(run(taken.store, taken.last).values()) == {0}


@pytest.mark.soak
def test_one_load_gives_what_the_batches_gave(taken: Taken, spark: SparkSession, tmp_path: Path) -> None:
    store, drops = new_store(spark, tmp_path), ("first", "second", "late")
    for drop in drops:
        take_in(store, taken.shop, drop)
    embed(store, [*contents_of(taken.shop, set(drops)), *late_contents(taken.shop)], "all")
    run(store, Batch("features", drops, at(19), None, True, "one load"))
    assert_matches(store, taken.oracle)
    for modality, table in INTERESTS.items():
        once, batched = in_force(store, table), in_force(taken.store, table)
        # Beyond these the batches left only rows that repeat what was, where a correction took a step away.
        assert set(once) == taken.oracle.steps(modality) <= set(batched)
    tiles = [s.read(USER_TILES).select("subject_id", "day", "modality", "content_id", "drop_id", "weight_7d", "actions")
             for s in (store, taken.store)]  # fmt: skip
    assert sorted(map(tuple, tiles[0].collect())) == sorted(map(tuple, tiles[1].collect()))
