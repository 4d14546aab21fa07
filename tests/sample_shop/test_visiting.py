"""Who comes how often: few come often, newcomers arrive all the time, visitors come once or twice."""

import numpy as np
import pytest

from pipelines.sample_shop.catalogue import DAY
from pipelines.sample_shop.people import LifeCycle, People, draw_people
from pipelines.sample_shop.period import Period
from pipelines.sample_shop.visiting import sessions_per_day

PERIOD = Period(20_000 * DAY, 90, 2)
ACCOUNTS = 2000


@pytest.fixture(scope="module")
def people() -> People:
    return draw_people(ACCOUNTS, PERIOD, "city", np.random.default_rng(5))


@pytest.fixture(scope="module")
def sessions(people: People) -> np.ndarray:
    """Expected sessions of everybody, (people, days)."""
    return sessions_per_day(people, PERIOD, slice(0, len(people)))


def test_a_tenth_of_the_accounts_makes_about_half_of_the_visits(sessions: np.ndarray) -> None:
    total = np.sort(sessions[:ACCOUNTS].sum(axis=1))
    assert 0.4 < total[-ACCOUNTS // 10 :].sum() / total.sum() < 0.65
    assert np.median(total) < 0.5 * total.mean()


def test_newcomers_arrive_in_every_third_of_the_period(people: People) -> None:
    new = (people.life_cycle == LifeCycle.NEW) & (np.arange(len(people)) < ACCOUNTS)
    day = (people.signup_us[new] - PERIOD.start_us) / DAY
    thirds = np.histogram(day, bins=3, range=(0, PERIOD.days))[0]
    assert thirds.sum() == new.sum()
    assert thirds.min() > 0.25 * new.sum()
    assert 0.25 < new.mean() < 0.4


def test_newcomers_come_most_when_they_are_new(people: People, sessions: np.ndarray) -> None:
    new = np.flatnonzero((people.life_cycle == LifeCycle.NEW) & (people.turn_day < 40))
    turn = people.turn_day[new]
    assert (sessions[new, turn] > 1.5 * sessions[new, turn + 28]).all()
    assert all(not sessions[person, : people.turn_day[person] - 2].any() for person in new[turn > 2].tolist())


def test_visitors_without_account_come_once_or_twice(sessions: np.ndarray) -> None:
    assert 0.5 < sessions[ACCOUNTS:].sum(axis=1).mean() < 2.5
