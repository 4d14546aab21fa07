"""Users' interests at a past midnight: from Feast where a release serves the encoder, else summed from tiles."""

from __future__ import annotations

import dataclasses
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pytest

from pipelines.governance.home import open_home
from pipelines.governance.runs import Run
from pipelines.point_in_time.published import Published
from pipelines.releases.compare.interests import Behaviour, interests, purchases, summed
from pipelines.releases.compare.vectors import Space
from pipelines.releases.pin import write_pin
from pipelines.serving.repo import apply
from pipelines.settings import Settings
from pipelines.tables.aggregates import USER_TILES
from pipelines.tables.features import USER_VISUAL_INTEREST
from pipelines.tables.sources import EVENTS, IDENTITIES
from tests.comparison.drawn_home import LONG_AGO, publish
from tests.hand_made_home import tiny_release

CUT = datetime(2026, 6, 1, tzinfo=UTC)
RELEASE = tiny_release("r1")
VECTORS = {("product_image", "a"): np.array([1, 0, 0, 0]), ("product_image", "b"): np.array([0, 1, 0, 0])}


def tile(subject: str, day: date, content: str, weight: float, **more: object) -> dict[str, object]:
    row = {"subject_id": subject, "day": day, "modality": "product_image", "content_id": content}
    row |= {"allowed_purposes": ["personalisation"], "weight_30d": weight, "available_at": LONG_AGO}
    return row | more


def event(subject: str, product: str, at: datetime, kind: str = "purchase") -> dict[str, object]:
    return {"subject_id": subject, "event_type": kind, "event_timestamp": at, "product_id": product}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """ann saw `a` on a linked device and `b` herself; what is late, not allowed or after the cut is in no sum."""
    settings = Settings(home=str(tmp_path / "home"))
    open_home(settings, create=True)
    write_pin(settings, [RELEASE], "r1")
    last = date(2026, 5, 31)
    tiles = [
        tile("device:d1", date(2026, 5, 1), "a", 4.0),
        tile("ann", last, "b", 2.0),
        tile("ann", last, "unknown", 5.0),
        tile("ann", last, "a", 9.0, allowed_purposes=["marketing"]),
        tile("ann", last, "a", 9.0, available_at=datetime(2026, 6, 2, tzinfo=UTC)),
        tile("ann", date(2026, 6, 1), "a", 9.0),
        tile("bob", last, "unknown", 1.0),
    ]
    publish(settings, USER_TILES, tiles)
    link = {"identifier_type": "device", "identifier": "device:d1", "user_id": "ann", "available_at": LONG_AGO}
    ended = {"linked_at": LONG_AGO, "unlinked_at": datetime(2026, 5, 2, tzinfo=UTC)}
    links = [link | {"linked_at": LONG_AGO, "unlinked_at": None}, link | ended | {"user_id": "bob"}]
    publish(settings, IDENTITIES, links)
    before, at, end = (datetime(2026, month, day, tzinfo=UTC) for month, day in ((5, 3), (6, 3), (6, 15)))
    bought = [event("ann", "p1", at), event("device:d1", "p2", at), event("ann", "p3", before)]
    publish(settings, EVENTS, [*bought, event("ann", "p4", at, "view"), event("ann", "p5", end)])
    return settings


def space(version: str = "1") -> Space:
    spec = dataclasses.replace(RELEASE.clip, version=version)
    return Space(spec, {key: v.astype(np.float32) for key, v in VECTORS.items()}, (), 0, 0, 0)


def behaviour(settings: Settings) -> Behaviour:
    return Behaviour.of(Published(settings, RELEASE, CUT))


def test_tiles_of_the_subjects_linked_at_the_cut_are_summed(settings: Settings) -> None:
    found = summed(space(), "product_image", behaviour(settings).profiles("product_image", CUT))
    assert found.keys() == {"ann", "device:d1"}
    carried = 4.0 * 0.5 ** (30 / 30)
    assert found["ann"] == pytest.approx(np.array([carried, 2.0, 0, 0]) / (carried + 2.0))


def test_what_was_bought_in_the_window_counts_for_the_owner(settings: Settings) -> None:
    assert purchases(behaviour(settings).published, CUT) == {"ann": {"p1", "p2"}}


def test_the_later_cut_comes_first_and_both_have_a_past(settings: Settings) -> None:
    assert behaviour(settings).cuts == (datetime(2026, 6, 2, tzinfo=UTC), datetime(2026, 5, 19, tzinfo=UTC))


def test_a_served_encoder_is_asked_of_feast_at_the_cut(settings: Settings) -> None:
    served = {"purpose": "personalisation", "encoder": "tiny-clip", "encoder_version": "1"}
    rows = [
        {"user_id": "ann", "mean_30d": [0.0, 0.0, x, 1.0], "event_timestamp": at, "created_at": at}
        for x, at in ((0.25, datetime(2026, 5, 20, tzinfo=UTC)), (0.75, datetime(2026, 6, 2, tzinfo=UTC)))
    ]
    publish(settings, USER_VISUAL_INTEREST, rows, served)
    before = interests(behaviour(settings), space(), "product_image", CUT)
    assert before["ann"].tolist() != [0.0, 0.0, 0.25, 1.0]  # nothing was applied: Feast knows no view
    apply(settings, Run(settings, CUT, "x"), [RELEASE])
    assert interests(behaviour(settings), space(), "product_image", CUT)["ann"].tolist() == [0.0, 0.0, 0.25, 1.0]
    other = interests(behaviour(settings), space("2"), "product_image", CUT)
    assert other["ann"] == pytest.approx(before["ann"])
