"""From history rows to online answers: what is written, what is not, and what a reader is told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from pipelines.errors import UnknownReleaseError, UnknownServiceError, UnknownUserError
from pipelines.serving.materialise import materialise
from pipelines.serving.online import read_features
from pipelines.serving.repo import apply
from pipelines.tables.features import PRODUCT_ACTIVITY, USER_ACTIVITY, USER_VISUAL_INTEREST
from pipelines.tables.sources import CONSENTS, IDENTITIES

if TYPE_CHECKING:
    from conftest import Home

DAY = datetime(2026, 3, 1, tzinfo=UTC)
ONE_DAY = timedelta(days=1)


def activity(user: str, at: datetime, views: int | None, created: datetime | None = None, **more: Any) -> dict[str, Any]:
    return {
        "user_id": user,
        "purpose": "personalisation",
        "views_7d": views,
        "event_timestamp": at,
        "created_at": created or at,
        **more,
    }


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


@pytest.fixture
def shop(home: Home) -> Home:
    """ann consents, bob says nothing (the default denies); both have been active."""
    home.write(CONSENTS, consent("ann", True, DAY - ONE_DAY))
    home.write(USER_ACTIVITY, activity("ann", DAY, 3), activity("bob", DAY, 7))
    vector = {"mean_7d": [0.6, 0.8, 0.0, 0.0], "weight_7d": 2.5, "medoid_product_ids": ["p1", "p2"]}
    times = {"event_timestamp": DAY, "created_at": DAY}
    home.write(USER_VISUAL_INTEREST, {"user_id": "ann", "purpose": "personalisation", **vector, **times})
    home.write(PRODUCT_ACTIVITY, {"product_id": "p1", "views_7d": 11, "price": 9.5, **times})
    apply(home.settings, home.run(DAY))
    return home


def written(home: Home, at: datetime) -> dict[str, float]:
    report = materialise(home.store, home.run(at))
    return {f.subject: f.value for f in report.figures if f.measure == "rows_written" and f.value}  # type: ignore[misc]


def statuses(home: Home, user: str, service: str = "recommendation") -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for feature in read_features(home.settings, user, service).features:
        found.setdefault(feature.view.split("_personalisation")[0], set()).add(feature.status)
    return found


def test_values_and_statuses_of_a_user(shop: Home) -> None:
    assert written(shop, DAY) == {
        "user_activity_personalisation": 1 + 1,  # bob's row, without its values
        "user_visual_interest_personalisation_tiny_clip_1": 1,
        "product_activity": 1,
        "user_consent": 2,
    }
    found = read_features(shop.settings, "ann")
    assert (found.service, found.release, found.purpose) == ("recommendation", "r1", "personalisation")
    assert found.consents == ["personalisation"]
    assert found.value("user_activity", "views_7d") == 3
    assert found.value("user_visual_interest", "mean_7d") == pytest.approx([0.6, 0.8, 0.0, 0.0])
    assert found.value("user_visual_interest", "medoid_product_ids") == ["p1", "p2"]
    by_name = {(f.view, f.name): f for f in found.features}
    views = by_name["user_activity_personalisation", "views_7d"]
    assert (views.status, views.event_timestamp) == ("present", DAY)
    assert by_name["user_activity_personalisation", "clicks_7d"].status == "null"
    assert statuses(shop, "ann")["user_fused"] == {"not_found"}


def test_a_user_without_consent_gets_nothing_and_has_nothing_online(shop: Home) -> None:
    written(shop, DAY)
    found = read_features(shop.settings, "bob")
    assert {f.status for f in found.features} == {"no_consent"}
    assert all(f.value is None for f in found.features)
    assert found.consents == []


def test_nothing_new_writes_nothing(shop: Home) -> None:
    written(shop, DAY)
    assert written(shop, DAY) == {}
    assert written(shop, DAY + ONE_DAY) == {}


def test_only_touched_users_are_written_and_a_correction_of_the_same_day_arrives(shop: Home) -> None:
    shop.write(CONSENTS, consent("cid", True, DAY - ONE_DAY))
    shop.write(USER_ACTIVITY, activity("cid", DAY, 1))
    written(shop, DAY)
    later = DAY + timedelta(hours=5)
    shop.write(USER_ACTIVITY, activity("ann", DAY, 4, created=later))
    assert written(shop, later) == {"user_activity_personalisation": 1}
    assert read_features(shop.settings, "ann").value("user_activity", "views_7d") == 4
    # A correction of an older day changes the past only.
    shop.write(USER_ACTIVITY, activity("ann", DAY - ONE_DAY, 99, created=later))
    written(shop, later)
    assert read_features(shop.settings, "ann").value("user_activity", "views_7d") == 4


def test_rows_ahead_of_the_run_wait_for_their_time(shop: Home) -> None:
    shop.write(USER_ACTIVITY, activity("ann", DAY + ONE_DAY, 8))
    written(shop, DAY)
    assert read_features(shop.settings, "ann").value("user_activity", "views_7d") == 3
    assert written(shop, DAY + ONE_DAY) == {"user_activity_personalisation": 1}
    assert read_features(shop.settings, "ann").value("user_activity", "views_7d") == 8


def test_withdrawn_consent_wipes_and_granting_again_restores(shop: Home) -> None:
    written(shop, DAY)
    withdrawal, return_ = DAY + ONE_DAY, DAY + 2 * ONE_DAY
    shop.store.replace_where(
        shop.store.spark.createDataFrame(
            [tuple(r[c] for c in CONSENTS.column_names) for r in (
                consent("ann", True, DAY - ONE_DAY, withdrawal),
                consent("ann", False, withdrawal, return_),
                consent("ann", True, return_),
            )],
            CONSENTS.ddl,
        ),
        CONSENTS,
        "user_id = 'ann'",
    )  # fmt: skip
    assert written(shop, withdrawal) == {
        "user_consent": 1,
        "user_activity_personalisation": 1,
        "user_visual_interest_personalisation_tiny_clip_1": 1,
    }
    assert {f.status for f in read_features(shop.settings, "ann").features} == {"no_consent"}
    assert stored_values(shop, "ann") == {"views_7d": None}
    written(shop, return_)
    assert read_features(shop.settings, "ann").value("user_activity", "views_7d") == 3


def stored_values(home: Home, user: str) -> dict[str, Any]:
    """What plain Feast would hand out."""
    from pipelines.serving.repo import feature_store

    feast = feature_store(home.settings, offline=False)
    answer = feast.get_online_features(
        features=["user_activity_personalisation:views_7d"], entity_rows=[{"user_id": user}]
    ).to_dict()
    return {"views_7d": answer["views_7d"][0]}


def test_plain_feast_reads_the_same(shop: Home) -> None:
    written(shop, DAY)
    assert stored_values(shop, "ann") == {"views_7d": 3}
    assert stored_values(shop, "bob") == {"views_7d": None}


def test_a_linked_device_is_bound_by_its_user(shop: Home) -> None:
    link = {"identifier_type": "device", "identifier": "device:d1", "user_id": "bob", "linked_at": DAY - ONE_DAY}
    shop.write(IDENTITIES, link)
    shop.write(USER_ACTIVITY, activity("device:d1", DAY, 2))
    written(shop, DAY)
    assert {f.status for f in read_features(shop.settings, "d1", kind="device").features} == {"no_consent"}


def test_products_need_no_consent(shop: Home) -> None:
    written(shop, DAY)
    found = read_features(shop.settings, "p1", "product_ranking")
    assert found.value("product_activity", "views_7d") == 11
    assert found.value("product_activity", "price") == 9.5
    with pytest.raises(UnknownUserError, match="product 'p9'"):
        read_features(shop.settings, "p9", "product_ranking")


def test_what_does_not_exist_is_said(shop: Home) -> None:
    written(shop, DAY)
    with pytest.raises(UnknownUserError, match="user 'nobody'"):
        read_features(shop.settings, "nobody")
    with pytest.raises(UnknownServiceError, match="marketing_r1"):
        read_features(shop.settings, "ann", "churn")
    with pytest.raises(UnknownReleaseError, match="live: r1"):
        read_features(shop.settings, "ann", "risk", release="r9")
    assert read_features(shop.settings, "ann", "risk", release="r1") == read_features(shop.settings, "ann", "risk_r1")


def test_an_emptied_online_store_is_filled_again(shop: Home) -> None:
    everything = written(shop, DAY)
    folder = shop.settings.local_home
    assert folder is not None
    (folder / "feast" / "online.db").unlink()
    apply(shop.settings, shop.run(DAY))
    assert written(shop, DAY) == everything
