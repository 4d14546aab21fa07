"""Training sets end to end: what comes in goes out in order, with what was known; and what is refused."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from pipelines.errors import EntityFrameError, UnknownServiceError
from pipelines.releases.pin import write_pin
from pipelines.serving.repo import apply
from pipelines.settings import Settings
from pipelines.tables.features import USER_ACTIVITY, USER_REVIEW_INTEREST, USER_VISUAL_INTEREST
from pipelines.tables.sources import CONSENTS
from pipelines.training.entities import read_entities
from pipelines.training.training_set import training_set
from tests.hand_made_home import tiny_release

if TYPE_CHECKING:
    from tests.hand_made_home import Home

DAY = datetime(2026, 3, 10, tzinfo=UTC)
HOUR, ONE_DAY = timedelta(hours=1), timedelta(days=1)
VIEWS = "user_activity_personalisation__views_7d"
TASTE = "user_visual_interest_personalisation_tiny_clip_1__mean_7d"
REVIEWED = "user_review_interest_personalisation_tiny_e5_1__mean_30d"


def activity(user: str, at: datetime, views: int, created: datetime | None = None) -> dict[str, Any]:
    times = {"event_timestamp": at, "created_at": created or at}
    return {"user_id": user, "purpose": "personalisation", "views_7d": views, **times}


def grant(user: str, *, granted: bool) -> dict[str, Any]:
    times = {"valid_from": DAY - 9 * ONE_DAY, "available_at": DAY}
    return {"user_id": user, "purpose": "personalisation", "granted": granted, "drop_id": "d", **times}


@pytest.fixture(scope="module")
def shop(standing_home: Home) -> Home:
    home = standing_home
    home.write(CONSENTS, grant("ann", granted=True), grant("007", granted=True), grant("bob", granted=False))
    home.write(
        USER_ACTIVITY,
        activity("ann", DAY, 1),
        activity("ann", DAY, 2, created=DAY + 5 * HOUR),  # a late correction
        activity("ann", DAY + 3 * ONE_DAY, 3),
        activity("007", DAY, 4),
        activity("bob", DAY, 5),
    )
    taste = {"user_id": "ann", "purpose": "personalisation", "mean_7d": [1.0, 0.0, 0.0, 0.0]}
    home.write(USER_VISUAL_INTEREST, {**taste, "event_timestamp": DAY, "created_at": DAY})
    apply(home.settings, home.run(DAY))
    return home


def test_rows_keep_their_order_number_columns_and_get_what_was_known(shop: Home, tmp_path: Path) -> None:
    tokyo = timezone(timedelta(hours=9))
    rows = [
        ("ann", DAY + 4 * ONE_DAY, 3),
        ("bob", DAY + ONE_DAY, None),  # does not consent
        ("ann", DAY + 4 * HOUR, 1),  # the correction was not known yet
        ("ann", DAY + 5 * HOUR, 2),
        ("nobody", DAY, None),
        ("ann", DAY + 4 * HOUR, 1),  # the same row twice
        ("007", (DAY + 1 * HOUR).astimezone(tokyo), 4),
        ("ann", DAY - HOUR, None),
        ("ann", DAY, 1),  # at its own instant a row is known
    ]
    entities, out = tmp_path / "labels.parquet", tmp_path / "out" / "train.parquet"
    given = pa.table(
        {
            "label": [i % 2 for i in range(len(rows))],
            "user_id": [r[0] for r in rows],
            "event_timestamp": pa.array([r[1] for r in rows], pa.timestamp("ns", tz="Asia/Tokyo")),
        }
    )
    pq.write_table(given, entities)
    report = training_set(shop.store, shop.run(DAY + 9 * ONE_DAY), entities, "recommendation", out)
    made = report.manifest
    table = pq.read_table(out)
    assert table.column_names[:3] == ["label", "user_id", "event_timestamp"]
    assert table.column("label").to_pylist() == given.column("label").to_pylist()
    assert table.column("user_id").to_pylist() == [r[0] for r in rows]
    assert table.column("event_timestamp").to_pylist() == [r[1] for r in rows]
    assert table.column(VIEWS).to_pylist() == [r[2] for r in rows]
    assert table.schema.field(VIEWS).type == pa.int64()
    assert [v is not None for v in table.column(TASTE).to_pylist()] == [r[0] == "ann" and r[1] >= DAY for r in rows]
    # The stranger is not known to consent either, and the default denies.
    assert (made.rows, made.rows_without_consent, made.entities_without_consent) == (9, 2, 2)
    manifest = json.loads(report.manifest_path.read_text())
    assert (manifest["service"], manifest["release"], manifest["rows"]) == ("recommendation", "r1", 9)
    activity_view = manifest["views"]["user_activity_personalisation"]
    assert (activity_view["table"], activity_view["delta_version"]) == ("user_activity", 0)
    taste_view = manifest["views"]["user_visual_interest_personalisation_tiny_clip_1"]
    assert taste_view["partition"] == {
        "purpose": "personalisation",
        "encoder": "tiny-clip",
        "encoder_version": "1",
    }
    assert sorted(p.name for p in out.parent.iterdir()) == ["train.parquet", "train.parquet.manifest.json"]


def test_two_releases_differ_in_what_they_are_made_of_alone(home: Home, tmp_path: Path) -> None:
    home.releases = [tiny_release("r1"), tiny_release("r2", "2")]
    write_pin(home.settings, home.releases, "r1")
    home.write(CONSENTS, grant("ann", granted=True))
    home.write(USER_ACTIVITY, activity("ann", DAY, 1))
    known = {"user_id": "ann", "purpose": "personalisation", "event_timestamp": DAY, "created_at": DAY}
    review = {"encoder": "tiny-e5", "encoder_version": "1", "mean_30d": [0.5, 0.5, 0.5, 0.5]}
    home.write(USER_REVIEW_INTEREST, known | review)
    for version, mean in (("1", [1.0, 0.0, 0.0, 0.0]), ("2", [0.0, 1.0, 0.0, 0.0])):
        home.write(USER_VISUAL_INTEREST, known | {"encoder_version": version, "mean_7d": mean})
    run = home.run(DAY + ONE_DAY)
    apply(home.settings, run)
    entities = tmp_path / "labels.csv"
    entities.write_text("user_id,event_timestamp,label\nann,2026-03-11,1\nann,2026-03-09,0\n")
    made = {
        release: training_set(home.store, run, entities, f"recommendation_{release}", tmp_path / f"{release}.parquet")
        for release in ("r1", "r2")
    }
    first, second = (pq.read_table(tmp_path / f"{release}.parquet") for release in made)
    views = [report.manifest.views for report in made.values()]
    assert [report.manifest.release for report in made.values()] == ["r1", "r2"]
    # What both releases name alike is the same to the bit, and read from the same rows.
    both = [name for name in first.column_names if name in second.column_names]
    assert first.select(both).equals(second.select(both))
    assert first.column(REVIEWED).to_pylist() == [[0.5, 0.5, 0.5, 0.5], None]
    assert {VIEWS, REVIEWED, "label"} <= set(both)
    assert all(views[0][name] == views[1][name] for name in views[0].keys() & views[1].keys())
    # Every other column is a feature of a view that depends on the encoder which differs, the same in both.
    assert TASTE in first.column_names
    assert first.column(TASTE).to_pylist() == [[1.0, 0.0, 0.0, 0.0], None]
    assert second.column(TASTE.replace("clip_1", "clip_2")).to_pylist() == [[0.0, 1.0, 0.0, 0.0], None]
    own = [{name for name in table.column_names if name not in both} for table in (first, second)]
    parts = [next(name.split("__")[0] for name in names if name.startswith("user_fused")) for names in own]
    assert {name.replace("clip_1", "clip_2").replace(*parts) for name in own[0]} == own[1]


def test_csv_ids_stay_text_and_naive_times_are_utc(shop: Home, tmp_path: Path) -> None:
    entities, out = tmp_path / "labels.csv", tmp_path / "train.csv"
    entities.write_text(
        "user_id,event_timestamp,label\n"
        "007,2026-03-10T02:00:00,a\n"
        "ann,2026-03-10T13:30:00+09:00,b\n"
        "ann,2026-03-09 23:59:59.999999Z,c\n"
    )
    training_set(shop.store, shop.run(DAY + 9 * ONE_DAY), entities, "recommendation_r1", out)
    text = pa_csv.ConvertOptions(column_types={"user_id": pa.string()})
    table = pa_csv.read_csv(out, convert_options=text)
    assert table.column("user_id").to_pylist() == ["007", "ann", "ann"]
    assert table.column(VIEWS).to_pylist() == [4, 1, None]
    assert json.loads(table.column(TASTE).to_pylist()[1]) == [1.0, 0.0, 0.0, 0.0]


def test_a_failure_leaves_what_was_there(shop: Home, tmp_path: Path) -> None:
    entities, out = tmp_path / "labels.csv", tmp_path / "train.parquet"
    entities.write_text("user_id,event_timestamp\nann,2026-03-11\n")
    out.write_bytes(b"before")
    with pytest.raises(UnknownServiceError, match="no feature service 'churn'; there are: marketing"):
        training_set(shop.store, shop.run(DAY), entities, "churn", out)
    with pytest.raises(EntityFrameError, match=r"expected a name ending in \.parquet or \.csv"):
        training_set(shop.store, shop.run(DAY), entities, "risk", tmp_path / "train.xlsx")
    assert out.read_bytes() == b"before"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["labels.csv", "train.parquet"]


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("user_id,label\nann,1\n", "has no column 'event_timestamp'; found: user_id, label"),
        ("event_timestamp\n2026-03-01\n", "has no column 'user_id'"),
        ("user_id,event_timestamp\nann,2026-03-01\nann,soon\n", "row 2: 'soon'"),
        ("user_id,event_timestamp\nann,\n", "is no ISO 8601 instant, first in row 1"),
        ("user_id,event_timestamp\n,2026-03-01\n", "'user_id' is empty, first in row 1"),
        ("user_id,event_timestamp\n", "has no rows"),
        ("", "cannot be read"),
    ],
)
def test_unusable_entity_files_are_explained(tmp_path: Path, content: str, fault: str) -> None:
    path = tmp_path / "labels.csv"
    path.write_text(content)
    with pytest.raises(EntityFrameError) as error:
        read_entities(path, "user_id", Settings(home=str(tmp_path)))
    assert fault in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_entity_file_is_explained(tmp_path: Path) -> None:
    with pytest.raises(EntityFrameError, match="no entity file at"):
        read_entities(tmp_path / "none.csv", "user_id", Settings(home=str(tmp_path)))
