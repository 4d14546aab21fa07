"""What was done since the last run adds up, whatever the order it comes in."""

from __future__ import annotations

import itertools

import numpy as np

from pipelines.features.scalars import DAILY
from pipelines.stream.acts import Act, Tile
from pipelines.stream.open_days import OpenDays
from pipelines.tables.definitions import RECENT_ACTIONS

DAY = 20_000
HOUR = 3_600_000_000
MIDNIGHT = DAY * 24 * HOUR


def act(name: str, hour: float, **more: object) -> Act:
    sums = np.zeros(len(DAILY.sums))
    for measure in ("events", "orders", "sessions"):
        sums[DAILY.sums.index(measure)] = 1
    given = {"kind": "purchase", "session": "s1", "product": "p1", "query": None, "tiles": (), "sums": sums} | more
    at = MIDNIGHT + round(hour * HOUR)
    return Act(event_id=name, subject="u1", day=DAY, at=at, available=at, purposes=("marketing",), **given)  # type: ignore[arg-type]


def total(days: OpenDays, measure: str) -> float:
    return float(sum(d.sums[DAILY.sums.index(measure)] for d in days.subjects["u1"].days.values()))


def test_a_session_and_its_order_count_once_in_any_order() -> None:
    acts = [act("a", 1), act("b", 2), act("c", 3, session="s2"), act("d", 4, session=None)]
    for some in itertools.permutations(acts):
        days = OpenDays()
        for one in some:
            days.add([one], MIDNIGHT + 24 * HOUR)
        assert (total(days, "events"), total(days, "orders"), total(days, "sessions")) == (4, 3, 3)
        assert days.subjects["u1"].newest == MIDNIGHT + 4 * HOUR


def test_an_act_ahead_of_the_clock_waits_until_its_time_has_come() -> None:
    days = OpenDays()
    tile = Tile("product_image", "c", np.array([1.0, 2.0]))
    assert days.add([act("a", 5, tiles=(tile,))], MIDNIGHT + 4 * HOUR) == {}
    assert days.waiting == 1
    assert days.add([], MIDNIGHT + 5 * HOUR) == {"u1": {"product_image"}}
    assert days.waiting == 0
    [weights] = days.subjects["u1"].tiles.values()
    assert weights.tolist() == [1.0, 2.0]


def test_only_the_newest_actions_are_kept() -> None:
    days = OpenDays()
    days.add([act(f"{i:04}", i / 1000) for i in range(1000)], MIDNIGHT + 24 * HOUR)
    kept = {a.event_id for a in days.subjects["u1"].actions}
    assert len(kept) < 500
    assert {f"{i:04}" for i in range(1000 - RECENT_ACTIONS, 1000)} <= kept


def test_the_newest_on_products_with_pictures_are_kept_as_well() -> None:
    days, picture = OpenDays(), (Tile("product_image", "c", np.array([1.0, 2.0])),)
    acts = [act(f"{i:04}", i / 1000, tiles=picture if i < 300 else ()) for i in range(1000)]
    days.add(acts, MIDNIGHT + 24 * HOUR)
    kept = {a.event_id for a in days.subjects["u1"].actions}
    assert len(kept) < 500
    assert {f"{i:04}" for i in range(300 - RECENT_ACTIONS, 300)} <= kept
    assert {f"{i:04}" for i in range(1000 - RECENT_ACTIONS, 1000)} <= kept
