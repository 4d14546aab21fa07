"""The main job on real transactions, against an independent computation in DuckDB and numpy."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.governance.runs import StepReport
from pipelines.run import new_run, run_steps
from pipelines.serving.online import read_features
from pipelines.sources.silver import SILVER
from pipelines.tables import HISTORIES
from pipelines.tables.aggregates import EMBEDDINGS, TEXT_JUDGEMENTS, USER_DAILY, USER_TILES
from pipelines.tables.sources import BRONZE, CONSENTS, MEDIA, PRODUCT_CONTENTS, QUARANTINE, SOURCE_COLUMNS
from pipelines.training.training_set import training_set
from tests.end_to_end.conftest import NOT_TABLES, REVIEWS
from tests.sources.shop_rows import figures

if TYPE_CHECKING:
    from tests.end_to_end.conftest import Shop

PURCHASE_WEIGHT = 8.0


@dataclass(frozen=True)
class Moment:
    """A household at a day's end (UTC)."""

    household: str
    at: datetime


@pytest.fixture(scope="session")
def moments(grocery: Shop) -> list[Moment]:
    """One household in the middle of its time, on its last day, and 40 days after it went quiet; and others."""
    relation = duckdb.sql(
        f"""SELECT user_id, min(event_timestamp)::date, max(event_timestamp)::date
        FROM '{grocery.drop}/events.parquet' WHERE event_type = 'purchase' AND quantity > 0
        GROUP BY user_id ORDER BY count(*) DESC, user_id LIMIT 3"""
    )
    assert relation is not None
    found = []
    for household, first, last in relation.fetchall():
        middle = first + (last - first) / 2
        found += [Moment(household, _day_end(d)) for d in (middle, last, last + timedelta(days=40))]
    return found


def _day_end(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)


@pytest.fixture(scope="session")
def pulled(grocery: Shop, moments: list[Moment], tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict]]:
    """What a training pipeline gets for the moments, per service."""
    folder = tmp_path_factory.mktemp("entities")
    entities = folder / "entities.parquet"
    table = pa.table({"user_id": [m.household for m in moments], "event_timestamp": [m.at for m in moments]})
    pq.write_table(table, entities)
    rows = {}
    for service in ("risk", "recommendation"):
        out = folder / f"{service}.parquet"
        training_set(grocery.store, grocery.run, entities, service, out)
        rows[service] = pq.read_table(out).to_pylist()
    return rows


def _value(row: dict, feature: str) -> object:
    """A feature's value, whatever view prefixes its column."""
    names = [c for c in row if c == feature or c.endswith(f"__{feature}")]
    assert len(names) == 1, (feature, list(row))
    return row[names[0]]


def test_every_row_is_accounted_for(grocery: Shop) -> None:
    report = grocery.report("ingest")
    for source in SOURCE_COLUMNS:
        counted = sum(report.total(m, source) for m in ("kept", "duplicates", "quarantined"))
        assert report.total("rows_in", source) == counted


def test_counts_are_those_of_the_files(grocery: Shop) -> None:
    report, tables = grocery.report("ingest"), ("events", "users", "products")
    rows = {source: pq.read_table(grocery.drop / f"{source}.parquet").to_pylist() for source in tables}
    for source, found in rows.items():
        assert figures(report, source, "rows_in") == {None: len(found)}
    returned = sum(row["quantity"] is not None and int(row["quantity"]) < 1 for row in rows["events"])
    assert returned > 0
    assert figures(report, "events", "quarantined") == {"quantity_below_one": returned}
    assert figures(report, "events", "kept") == {None: len(rows["events"]) - returned}
    assert figures(report, "users", "kept") == {None: len(rows["users"])}
    assert figures(report, "products", "kept") == {None: len(rows["products"])}
    foreign = set(rows["users"][0]) - set(SOURCE_COLUMNS["users"])
    assert len(foreign) == 7
    assert figures(report, "users", "unknown_column") == dict.fromkeys(foreign, len(rows["users"]))
    assert figures(report, "reviews", "of_unknown_products") == {None: REVIEWS}
    assert figures(report, "media", "read") == {
        None: len({path for product in rows["products"] for path in product["image_paths"]})
    }
    assert {f.subject for f in report.figures if f.measure == "not_a_table"} == set(NOT_TABLES)


def test_spend_and_counts_of_thirty_days(grocery: Shop, moments: list[Moment], pulled: dict[str, list[dict]]) -> None:
    quiet = 0
    for moment, row in zip(moments, pulled["risk"], strict=True):
        totals = duckdb.execute(
            f"""SELECT coalesce(sum(quantity * price), 0)::double, count(*), count(DISTINCT session_id)
            FROM '{grocery.drop}/events.parquet'
            WHERE user_id = ? AND event_type = 'purchase' AND quantity > 0
            AND event_timestamp < ?::timestamptz AND event_timestamp >= ?::timestamptz""",
            [moment.household, moment.at.isoformat(), (moment.at - timedelta(days=30)).isoformat()],
        ).fetchone()
        assert totals is not None
        spend, purchases, orders = totals
        quiet += purchases == 0
        assert _value(row, "purchases_30d") == purchases
        assert _value(row, "orders_30d") == orders
        assert _value(row, "spend_30d") == pytest.approx(spend, abs=1e-4)
    assert quiet >= 1, "one moment must be a quiet one"


def test_last_products(grocery: Shop, moments: list[Moment], pulled: dict[str, list[dict]]) -> None:
    for moment, row in zip(moments, pulled["recommendation"], strict=True):
        expected = duckdb.execute(
            f"""SELECT event_timestamp, product_id FROM '{grocery.drop}/events.parquet'
            WHERE user_id = ? AND event_type = 'purchase' AND quantity > 0 AND event_timestamp < ?::timestamptz
            ORDER BY event_timestamp DESC LIMIT 200""",
            [moment.household, moment.at.isoformat()],
        ).fetchall()
        found = _value(row, "last_product_ids")
        assert isinstance(found, list)
        # Lines of one basket have one timestamp, so the last basket that fits only in part is compared as a set.
        cut = expected[len(found) - 1][0]
        certain = [p for t, p in expected if t > cut]
        assert sorted(found[: len(certain)]) == sorted(certain)
        assert set(found[len(certain) :]) <= {p for t, p in expected if t == cut}


@pytest.mark.parametrize("half_life", [7, 30])
def test_decayed_mean_picture(
    grocery: Shop, moments: list[Moment], pulled: dict[str, list[dict]], half_life: int
) -> None:
    pictures = _pooled_pictures(grocery)
    for moment, row in zip(moments, pulled["recommendation"], strict=True):
        events = duckdb.execute(
            f"""SELECT product_id, epoch(event_timestamp) FROM '{grocery.drop}/events.parquet'
            WHERE user_id = ? AND event_type = 'purchase' AND quantity > 0 AND event_timestamp < ?::timestamptz""",
            [moment.household, moment.at.isoformat()],
        ).fetchall()
        total, weight = np.zeros(512), 0.0
        for product, seconds in events:
            if product in pictures:
                age_days = (moment.at.timestamp() - seconds) / 86_400
                w = PURCHASE_WEIGHT * 2 ** (-age_days / half_life)
                total, weight = total + w * pictures[product], weight + w
        mean = np.array(_visual(row, f"mean_{half_life}d"), dtype=np.float64)
        assert np.abs(mean - total / weight).max() < 1e-5


def _visual(row: dict, feature: str) -> list[float]:
    name = next(c for c in row if c.startswith("user_visual_interest") and c.endswith(f"__{feature}"))
    value = row[name]
    assert isinstance(value, list)
    return value


def _pooled_pictures(grocery: Shop) -> dict[str, np.ndarray]:
    """Per known product the unit mean of its pictures' vectors, from the files' hashes up."""
    rows = grocery.store.read(EMBEDDINGS).where("modality = 'image' AND status = 'ok'").toArrow().to_pylist()
    vectors = {r["content_hash"]: np.frombuffer(r["vector"], "<f4").astype(np.float64) for r in rows}
    pooled = {}
    for product in pq.read_table(grocery.drop / "products.parquet").to_pylist():
        files = [grocery.drop / "media" / p for p in product["image_paths"]]
        mean = np.mean([vectors[hashlib.sha256(f.read_bytes()).hexdigest()] for f in files], axis=0)
        pooled[product["product_id"]] = mean / np.linalg.norm(mean)
    return pooled


def test_online_gives_the_newest_row(grocery: Shop, moments: list[Moment]) -> None:
    household = moments[0].household
    online = read_features(grocery.settings, household, "risk")
    values = {f.name: f.value for f in online.features}
    assert values["purchases_30d"] == 0, "three months after the last purchase"
    assert online.release == "r1"


def test_the_same_drop_again_writes_nothing(grocery: Shop) -> None:
    before = _versions(grocery)
    again = run_steps(new_run(grocery.settings, grocery.run.as_of), str(grocery.drop))
    assert _versions(grocery) == before
    assert _total(again, "encoded") == 0
    assert _total(again, "rows_written") == 0


def _total(reports: list[StepReport], measure: str) -> float:
    return sum(r.total(measure) for r in reports)


def _versions(grocery: Shop) -> dict[str, int | None]:
    """Of every table of sources, aggregates and features."""
    tables = (
        *HISTORIES, *BRONZE.values(), *SILVER.values(), CONSENTS, MEDIA, PRODUCT_CONTENTS, QUARANTINE,
        EMBEDDINGS, TEXT_JUDGEMENTS, USER_DAILY, USER_TILES,
    )  # fmt: skip
    return {f"{t.layer}.{t.name}": grocery.store.version(t) for t in tables}
