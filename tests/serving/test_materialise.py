"""From history rows to online answers: what is written, what is not, and what a reader is told."""

from __future__ import annotations

import io
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console

from pipelines.errors import UnknownReleaseError, UnknownServiceError, UnknownUserError
from pipelines.serving.materialise import materialise
from pipelines.serving.online import read_features
from pipelines.serving.render import render_features
from pipelines.serving.repo import apply, feature_store
from pipelines.settings import PROJECT_ROOT
from pipelines.tables.features import PRODUCT_ACTIVITY, USER_ACTIVITY, USER_VISUAL_INTEREST
from pipelines.tables.sources import CONSENTS, IDENTITIES, TOMBSTONES
from tests.table_frame import table_frame

if TYPE_CHECKING:
    from tests.hand_made_home import Home

DAY = datetime(2026, 3, 1, tzinfo=UTC)
ONE_DAY = timedelta(days=1)


def activity(user: str, at: datetime, views: int, created: datetime | None = None) -> dict[str, Any]:
    times = {"event_timestamp": at, "created_at": created or at}
    return {"user_id": user, "purpose": "personalisation", "views_7d": views, **times}


def consent(user: str, granted: bool, since: datetime, until: datetime | None = None) -> dict[str, Any]:
    return {
        "user_id": user,
        "purpose": "personalisation",
        "granted": granted,
        "valid_from": since,
        "valid_to": until,
        "available_at": since,
        "drop_id": "d",
    }


@pytest.fixture(scope="module")
def furnished(standing_home: Home) -> Home:
    """ann consents, bob says nothing (the default denies) and has a device; all three have been active."""
    home = standing_home
    home.write(CONSENTS, consent("ann", True, DAY - ONE_DAY))
    home.write(USER_ACTIVITY, activity("ann", DAY, 3), activity("bob", DAY, 7), activity("device:d1", DAY, 2))
    vector = {"mean_7d": [0.6, 0.8, 0.0, 0.0], "weight_7d": 2.5, "medoid_product_ids": ["p1", "p2"]}
    times = {"event_timestamp": DAY, "created_at": DAY}
    home.write(USER_VISUAL_INTEREST, {"user_id": "ann", "purpose": "personalisation", **vector, **times})
    home.write(PRODUCT_ACTIVITY, {"product_id": "p1", "views_7d": 11, "price": 9.5, **times})
    link = {"identifier_type": "device", "identifier": "device:d1", "user_id": "bob", "linked_at": DAY - ONE_DAY}
    home.write(IDENTITIES, link)
    apply(home.settings, home.run(DAY))
    return home


@pytest.fixture(scope="module")
def everything(furnished: Home) -> dict[str, float]:
    """What the first materialisation wrote, at DAY."""
    return written(furnished, DAY)


@pytest.fixture(scope="module")
def standing(furnished: Home, everything: dict[str, float]) -> Home:
    """Materialised at DAY. The last tests of this module change it."""
    return furnished


def written(home: Home, at: datetime) -> dict[str, float]:
    report = materialise(home.store, home.run(at))
    return {f.subject: f.value for f in report.figures if f.measure == "rows_written" and f.value}  # type: ignore[misc]


def test_values_and_statuses_of_a_user(standing: Home) -> None:
    found = read_features(standing.settings, "ann")
    assert (found.service, found.release, found.purpose) == ("recommendation", "r1", "personalisation")
    assert found.consents == ["personalisation"]
    assert found.value("user_activity", "views_7d") == 3
    assert found.value("user_visual_interest", "mean_7d") == pytest.approx([0.6, 0.8, 0.0, 0.0])
    assert found.value("user_visual_interest", "medoid_product_ids") == ["p1", "p2"]
    by_name = {(f.view, f.name): f for f in found.features}
    views = by_name["user_activity_personalisation", "views_7d"]
    assert (views.status, views.event_timestamp) == ("present", DAY)
    assert by_name["user_activity_personalisation", "clicks_7d"].status == "null"
    assert {f.status for f in found.features if f.view.startswith("user_fused")} == {"not_found"}


def test_a_user_without_consent_gets_nothing(standing: Home) -> None:
    found = read_features(standing.settings, "bob")
    assert {(f.status, f.value) for f in found.features} == {("no_consent", None)}
    assert found.consents == []


def test_a_linked_device_is_bound_by_its_user(standing: Home) -> None:
    found = read_features(standing.settings, "d1", kind="device")
    assert {f.status for f in found.features} == {"no_consent"}


def test_plain_feast_reads_the_same_values_and_none_without_consent(standing: Home) -> None:
    assert by_plain_feast(standing, "ann") == 3
    assert by_plain_feast(standing, "bob") is None


def test_products_need_no_consent(standing: Home) -> None:
    found = read_features(standing.settings, "p1", "product_ranking")
    assert found.value("product_activity", "views_7d") == 11
    assert found.value("product_activity", "price") == 9.5
    with pytest.raises(UnknownUserError, match="product 'p9'"):
        read_features(standing.settings, "p9", "product_ranking")


def test_what_does_not_exist_is_said(standing: Home) -> None:
    with pytest.raises(UnknownUserError, match="user 'nobody'"):
        read_features(standing.settings, "nobody")
    with pytest.raises(UnknownServiceError, match="marketing_r1"):
        read_features(standing.settings, "ann", "churn")
    with pytest.raises(UnknownReleaseError, match="live: r1"):
        read_features(standing.settings, "ann", "risk", release="r9")
    named = read_features(standing.settings, "ann", "risk_r1")
    assert read_features(standing.settings, "ann", "risk", release="r1") == named


def test_reading_needs_no_pyspark(standing: Home) -> None:
    program = """
import sys
sys.modules["pyspark"] = sys.modules["torch"] = sys.modules["mlflow"] = None
from pipelines.settings import load_settings
from pipelines.serving.online import read_features
print(read_features(load_settings(home=sys.argv[1]), "ann").value("user_activity", "views_7d"))
"""
    command = [sys.executable, "-c", program, standing.settings.home]
    done = subprocess.run(command, cwd=PROJECT_ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "3"), done.stderr


def test_people_see_every_feature_and_its_status(standing: Home) -> None:
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(render_features(read_features(standing.settings, "ann")))
    text = console.export_text()
    assert "release r1" in text
    assert "[0.600, 0.800, 0.000, 0.000]" in text
    assert "not found" in text


def test_the_first_time_everything_is_written(everything: dict[str, float]) -> None:
    assert everything == {
        "user_activity_personalisation": 3,  # bob's row and his device's without their values
        "user_visual_interest_personalisation_tiny_clip_1": 1,
        "product_activity": 1,
        "user_consent": 3,
    }


def test_only_what_is_new_is_written_and_corrections_arrive(standing: Home) -> None:
    assert written(standing, DAY) == {}
    later = DAY + timedelta(hours=5)
    standing.write(
        USER_ACTIVITY,
        # The same day again, known better; and an older day, which changes the past only.
        activity("ann", DAY, 4, created=later),
        activity("ann", DAY - ONE_DAY, 99, created=later),
        # And one that is not yet true.
        activity("ann", DAY + ONE_DAY, 8),
    )
    assert written(standing, later) == {"user_activity_personalisation": 1}
    assert read_features(standing.settings, "ann").value("user_activity", "views_7d") == 4
    assert written(standing, DAY + ONE_DAY) == {"user_activity_personalisation": 1}
    assert read_features(standing.settings, "ann").value("user_activity", "views_7d") == 8


def test_withdrawn_consent_wipes_and_granting_again_restores(standing: Home, everything: dict[str, float]) -> None:
    before = read_features(standing.settings, "ann").value("user_activity", "views_7d")
    withdrawal, return_ = DAY + 2 * ONE_DAY, DAY + 3 * ONE_DAY
    versions = [
        consent("ann", True, DAY - ONE_DAY, withdrawal),
        consent("ann", False, withdrawal, return_),
        consent("ann", True, return_),
    ]
    frame = table_frame(standing.store.spark, CONSENTS, versions)
    standing.store.replace_where(frame, CONSENTS, "user_id = 'ann'")
    assert written(standing, withdrawal) == {
        "user_consent": 1,
        "user_activity_personalisation": 1,
        "user_visual_interest_personalisation_tiny_clip_1": 1,
    }
    assert {f.status for f in read_features(standing.settings, "ann").features} == {"no_consent"}
    assert by_plain_feast(standing, "ann") is None
    # An emptied online store is filled again, with the consent that was given anew.
    folder = standing.settings.local_home
    assert folder is not None
    (folder / "feast" / "online.db").unlink()
    apply(standing.settings, standing.run(return_))
    assert written(standing, return_) == everything
    assert before is not None
    assert read_features(standing.settings, "ann").value("user_activity", "views_7d") == before


def test_who_is_erased_leaves_the_online_store(standing: Home) -> None:
    standing.write(TOMBSTONES, {"subject_id": "ann", "erased_at": DAY, "reason": "asked"})
    report = materialise(standing.store, standing.run(DAY + 4 * ONE_DAY))
    assert report.total("users_deleted") == 1
    with pytest.raises(UnknownUserError):
        read_features(standing.settings, "ann")
    assert by_plain_feast(standing, "ann") is None
    # Nobody new was erased.
    assert materialise(standing.store, standing.run(DAY + 5 * ONE_DAY)).total("users_deleted") == 0


def by_plain_feast(home: Home, user: str) -> int | None:
    answer = feature_store(home.settings, offline=False).get_online_features(
        features=["user_activity_personalisation:views_7d"], entity_rows=[{"user_id": user}]
    )
    views: int | None = answer.to_dict()["views_7d"][0]
    return views
