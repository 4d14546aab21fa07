"""How often people come: life cycle, habit of the week, own activity."""

import numpy as np

from .people import LifeCycle, People
from .period import Period

# Who is new comes more often at first (added to their usual activity), fading within so many days.
_CURIOSITY, _CURIOUS_DAYS = 2.0, 6.0
_BEFORE_SIGNUP_DAYS = 2  # newcomers look around for so long before they sign up


def sessions_per_day(people: People, period: Period, who: slice) -> np.ndarray:
    """Expected sessions of a slice of people, (n, days): life cycle × weekday habit × own activity."""
    day = np.arange(period.days)[None, :]
    turn, life = people.turn_day[who, None], people.life_cycle[who, None]
    late = day >= turn
    factor = np.ones((who.stop - who.start, period.days))
    curious = 1 + _CURIOSITY * np.exp(-np.abs(day - turn) / _CURIOUS_DAYS)
    arrived = day >= turn - _BEFORE_SIGNUP_DAYS
    factor = np.where(life == LifeCycle.NEW, np.where(arrived, curious, 0.0), factor)
    factor = np.where(life == LifeCycle.GROWING, 0.3 + 1.7 / (1 + np.exp(-(day - turn) / 4)), factor)
    factor = np.where((life == LifeCycle.DORMANT) & late, 0.06, factor)
    factor = np.where((life == LifeCycle.CHURNED) & late, 0.0, factor)
    factor = np.where((life == LifeCycle.NEW_PARENT) & late, 1.4, factor)
    return people.activity[who, None] * factor * np.where(period.weekend()[None, :], people.weekend[who, None], 1.0)
