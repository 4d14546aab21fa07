"""A mission is pursued over some visits; what is not used up is come for once, and bought once."""

import numpy as np
import pytest

from pipelines.sample_shop.behaviour import simulate
from pipelines.sample_shop.catalogue import DAY, Catalogue, build_catalogue
from pipelines.sample_shop.events import KIND, Columns, Events
from pipelines.sample_shop.mind import Mind
from pipelines.sample_shop.missions import firsts, missions
from pipelines.sample_shop.people import draw_people
from pipelines.sample_shop.period import Period
from pipelines.sample_shop.world import make_world

PERIOD = Period(20_000 * DAY, 60, 2)
PEOPLE = 400


@pytest.fixture(scope="module")
def shop() -> tuple[Catalogue, Columns, Events]:
    catalogue = build_catalogue(160, PERIOD.start_us, PERIOD.days, np.random.default_rng(1))
    people = draw_people(PEOPLE, PERIOD, "city", np.random.default_rng(2))
    world, everyone = make_world(people, catalogue, PERIOD), slice(0, len(people))
    visits = {"person": np.repeat(np.arange(PEOPLE), 8), "day": np.tile(np.arange(0, 56, 7), PEOPLE)}
    mind = Mind(people, catalogue, everyone, world.days)
    found = missions(mind, visits, catalogue, np.random.default_rng(3))
    return catalogue, found, simulate(world, everyone, np.random.default_rng(4))


def test_a_mission_keeps_its_product_until_its_last_visit(shop: tuple[Catalogue, Columns, Events]) -> None:
    _, visits, _ = shop
    person, intent, last = visits["person"], visits["intent"], visits["last"]
    goes_on = ~last[:-1]
    assert (person[1:] == person[:-1])[goes_on].all()
    assert (intent[1:] == intent[:-1])[goes_on].all()
    assert last[np.flatnonzero(np.diff(person))].all()
    assert last[-1]
    assert 0.3 < last.mean() < 0.6


def test_the_next_mission_is_for_another_thing_unless_it_is_used_up(shop: tuple[Catalogue, Columns, Events]) -> None:
    catalogue, visits, _ = shop
    ends = np.flatnonzero(visits["last"])
    person, intent = visits["person"][ends], visits["intent"][ends]
    again = ~firsts(person, intent, len(catalogue))
    used_up = catalogue.used_up[intent]
    assert again[used_up].mean() > 2 * again[~used_up].mean()
    assert again[~used_up].mean() < 0.05


def test_only_what_is_used_up_is_bought_again(shop: tuple[Catalogue, Columns, Events]) -> None:
    catalogue, _, events = shop
    bought = np.flatnonzero(events.kind == KIND["purchase"])
    again = ~firsts(events.person[bought], events.product[bought], len(catalogue))
    used_up = catalogue.used_up[events.product[bought]]
    assert again[used_up].mean() > 2 * again[~used_up].mean()
    assert again[~used_up].mean() < 0.15


def test_firsts_are_told_by_person_and_product() -> None:
    found = firsts(np.array([1, 1, 2, 1, 2]), np.array([5, 5, 5, 6, 5]), 10)
    assert found.tolist() == [True, False, True, True, False]
