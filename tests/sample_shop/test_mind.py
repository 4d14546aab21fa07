"""Choices follow liking, popularity and what the day brings up, as often as they should."""

import numpy as np
import pytest

from pipelines.sample_shop.catalogue import Catalogue, build_catalogue
from pipelines.sample_shop.mind import Mind
from pipelines.sample_shop.people import STAGES, People, draw_people
from pipelines.sample_shop.period import Period

PERIOD = Period(0, 30, 0)
DRAWS = 60_000


@pytest.fixture(scope="module")
def shop() -> tuple[People, Catalogue]:
    catalogue = build_catalogue(40, PERIOD.start_us, PERIOD.days, np.random.default_rng(1))
    return draw_people(20, PERIOD, "city", np.random.default_rng(2)), catalogue


def _drawn(mind: Mind, days: np.ndarray) -> np.ndarray:
    row, day = np.zeros(DRAWS, np.int64), np.zeros(DRAWS, np.int64)
    found = np.bincount(mind.wanted(row, day, np.random.default_rng(3)), minlength=len(days)) / DRAWS
    return np.asarray(found)


def test_what_is_wanted_follows_liking_and_popularity(shop: tuple[People, Catalogue]) -> None:
    people, catalogue = shop
    days = np.ones((len(catalogue), PERIOD.days), np.float32)
    mind = Mind(people, catalogue, slice(0, 5), days)
    products = np.arange(len(catalogue))
    logits = 2.0 * mind.z(np.zeros(len(products), np.int64), products) + 0.4 * np.log(catalogue.popularity)
    expected = np.exp(logits) / np.exp(logits).sum()
    assert np.abs(_drawn(mind, days) - expected).max() < 0.01


def test_what_the_day_does_not_bring_up_is_rarer(shop: tuple[People, Catalogue]) -> None:
    people, catalogue = shop
    days = np.ones((len(catalogue), PERIOD.days), np.float32)
    usual = _drawn(Mind(people, catalogue, slice(0, 5), days), days)
    best = int(usual.argmax())
    days[best] = 0.25
    rarer = _drawn(Mind(people, catalogue, slice(0, 5), days), days)
    assert rarer[best] == pytest.approx(
        0.25 * usual[best] / (1 - 0.75 * usual[best]), abs=0.05
    )  # after a few tries the last draw stays


def test_a_row_is_a_person_at_a_stage(shop: tuple[People, Catalogue]) -> None:
    people, catalogue = shop
    mind = Mind(people, catalogue, slice(3, 9), np.ones((len(catalogue), PERIOD.days), np.float32))
    person = np.arange(3, 9)
    first, last = mind.row(person, np.zeros(6, np.int64)), mind.row(person, np.full(6, 10**5))
    assert (first == np.cumsum(STAGES[people.change[3:9]]) - STAGES[people.change[3:9]]).all()
    # Nobody's taste changes who is to stay as they are, however late it is.
    assert (last - first <= STAGES[people.change[3:9]] - 1).all()
