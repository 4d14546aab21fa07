"""What people do hangs together: funnels, logins, sessions, life cycles."""

from collections.abc import Callable
from datetime import datetime

import numpy as np
import pytest

from pipelines.sample_shop import SampleShopSummary
from pipelines.sample_shop.behaviour import simulate
from pipelines.sample_shop.catalogue import DAY, Catalogue, build_catalogue
from pipelines.sample_shop.events import EVENT_TYPES, KIND, Events
from pipelines.sample_shop.goods import BABY
from pipelines.sample_shop.people import STAGES, Change, LifeCycle, People, draw_people
from pipelines.sample_shop.period import Period
from pipelines.sample_shop.world import make_world

Read = Callable[[str], list[dict[str, object]]]
PERIOD = Period(20_000 * DAY, 60, 2)


@pytest.fixture(scope="module")
def world() -> tuple[People, Catalogue, Events]:
    catalogue = build_catalogue(120, PERIOD.start_us, PERIOD.days, np.random.default_rng(1))
    people = draw_people(300, PERIOD, "city", np.random.default_rng(2))
    everyone = slice(0, len(people))
    return people, catalogue, simulate(make_world(people, catalogue, PERIOD), everyone, np.random.default_rng(3))


def test_every_event_type_happens(world: tuple[People, Catalogue, Events]) -> None:
    assert np.bincount(world[2].kind, minlength=len(EVENT_TYPES)).min() > 0


def test_the_default_size_gives_tens_of_thousands_of_events(world: tuple[People, Catalogue, Events]) -> None:
    assert 30_000 <= len(world[2]) <= 80_000


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


def test_people_who_changed_their_taste_look_at_what_they_like_now(world: tuple[People, Catalogue, Events]) -> None:
    people, catalogue, events = world
    looked = events.kind == KIND["click"]
    person, product = events.person[looked], events.product[looked]
    day = (events.at[looked] - PERIOD.start_us) // DAY
    switched = people.change[person] == Change.SWITCHES
    category = catalogue.column("category")[product]
    before = people.taste.category[person, category]
    after = people.later_taste.category[person, category]
    later = switched & (people.stage(person, day) == 1)
    earlier = switched & (people.stage(person, day) == 0)
    assert (after - before)[later].mean() > 0.2 > -0.2 > (after - before)[earlier].mean()


def test_a_drift_passes_through_every_stage_in_order(world: tuple[People, Catalogue, Events]) -> None:
    people = world[0]
    drifting = np.flatnonzero(people.change == Change.DRIFTS)
    days = np.arange(3 * PERIOD.days)
    for person in drifting.tolist():
        stages = people.stage(np.full(len(days), person), days)
        assert (np.diff(stages) >= 0).all()
        assert stages[0] == 0
        assert stages[-1] == STAGES[Change.DRIFTS] - 1


def test_coupons_are_used_by_those_whom_they_sway(world: tuple[People, Catalogue, Events]) -> None:
    people, _, events = world
    redeemers = people.coupon_response[events.person[events.kind == KIND["coupon_redeemed"]]]
    buyers = people.coupon_response[events.person[events.kind == KIND["purchase"]]]
    assert redeemers.mean() > buyers.mean() + 0.1


def test_new_products_are_put_forward_and_none_is_shown_before_its_launch(
    world: tuple[People, Catalogue, Events],
) -> None:
    _, catalogue, events = world
    shown = events.kind == KIND["impression"]
    launched = catalogue.column("launched_us")
    age = events.at[shown] - launched[events.product[shown]]
    assert (age >= 0).all()
    new = launched >= PERIOD.start_us
    days_on_sale = np.maximum(PERIOD.end_us - np.maximum(launched, PERIOD.start_us), DAY) / DAY
    rate = np.bincount(events.product[shown], minlength=len(catalogue)) / catalogue.popularity / days_on_sale
    assert np.median(rate[new]) > 1.2 * np.median(rate[~new])


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
