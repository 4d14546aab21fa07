"""What people do hangs together: funnels, logins, sessions, life cycles."""

from collections.abc import Callable
from datetime import datetime

import numpy as np
import pytest

from pipelines.sample_shop import SampleShopSummary
from pipelines.sample_shop.behaviour import Period, simulate
from pipelines.sample_shop.catalogue import DAY, Catalogue, build_catalogue
from pipelines.sample_shop.events import EVENT_TYPES, KIND, Events
from pipelines.sample_shop.goods import BABY
from pipelines.sample_shop.people import LifeCycle, People, draw_people

Read = Callable[[str], list[dict[str, object]]]
PERIOD = Period(20_000 * DAY, 60, 2)


@pytest.fixture(scope="module")
def world() -> tuple[People, Catalogue, Events]:
    catalogue = build_catalogue(120, PERIOD.start_us, PERIOD.days, np.random.default_rng(1))
    people = draw_people(300, PERIOD.start_us, PERIOD.days, np.random.default_rng(2))
    everyone = slice(0, len(people))
    return people, catalogue, simulate(people, catalogue, PERIOD, everyone, np.random.default_rng(3))


def test_every_event_type_happens(world: tuple[People, Catalogue, Events]) -> None:
    assert np.bincount(world[2].kind, minlength=len(EVENT_TYPES)).min() > 0


def test_the_default_size_gives_forty_to_sixty_thousand_events(world: tuple[People, Catalogue, Events]) -> None:
    assert 40_000 <= len(world[2]) <= 60_000


def test_the_funnel_narrows(world: tuple[People, Catalogue, Events]) -> None:
    counts = np.bincount(world[2].kind)
    steps = [counts[KIND[name]] for name in ("impression", "click", "add_to_cart", "purchase", "return")]
    assert steps == sorted(steps, reverse=True)


def test_clicks_fall_with_the_place_in_the_list(world: tuple[People, Catalogue, Events]) -> None:
    events = world[2]
    shown, clicked = (
        np.bincount(events.position[events.kind == KIND[name]], minlength=7) for name in ("impression", "click")
    )
    assert clicked[1] / shown[1] > 1.5 * clicked[6] / shown[6]


def test_nobody_is_known_before_signing_up_or_acts_after_the_end(world: tuple[People, Catalogue, Events]) -> None:
    people, _, events = world
    known = events.known(people)
    assert (events.at[known] >= people.signup_us[events.person[known]]).all()
    assert (events.at < PERIOD.end_us).all()
    assert (events.at >= PERIOD.start_us).all()


def test_only_those_logged_in_buy_and_some_browse_unknown(world: tuple[People, Catalogue, Events]) -> None:
    people, _, events = world
    known = events.known(people)
    assert known[events.kind == KIND["purchase"]].all()
    assert 0.02 < 1 - known.mean() < 0.3
    assert (events.device[~known] >= 0).all()


def test_churned_people_stop_and_new_parents_turn_to_baby_goods(world: tuple[People, Catalogue, Events]) -> None:
    people, catalogue, events = world
    day = (events.at - PERIOD.start_us) // DAY
    browses = np.isin(events.kind, [KIND["impression"], KIND["click"], KIND["search"]])
    late = day > people.turn_day[events.person]
    churned = people.life_cycle[events.person] == LifeCycle.CHURNED
    assert not (browses & late & churned & (day > people.turn_day[events.person] + 1)).any()
    parents = (events.kind == KIND["click"]) & (people.life_cycle[events.person] == LifeCycle.NEW_PARENT)
    baby = catalogue.column("category")[events.product] == BABY
    assert baby[parents & late].mean() > 1.5 * baby[parents & ~late].mean()


def test_clean_events_start_after_signup_and_end_before_the_end(shop: SampleShopSummary, rows: Read) -> None:
    signups = {
        str(row["user_id"]): datetime.fromisoformat(str(row["signup_at"]))
        for row in rows("users")
        if str(row["user_id"]).startswith("u")
    }
    for event in rows("events"):
        at = event["event_timestamp"]
        if str(event["event_id"]).startswith("e") and event["user_id"] in signups:
            assert isinstance(at, datetime)
            assert signups[str(event["user_id"])] <= at < shop.end


def test_a_session_belongs_to_one_device(rows: Read) -> None:
    devices: dict[object, set[object]] = {}
    for event in rows("events"):
        if str(event["event_id"]).startswith("e") and event["session_id"]:
            devices.setdefault(event["session_id"], set()).add(event["device_id"])
    assert max(map(len, devices.values())) == 1
