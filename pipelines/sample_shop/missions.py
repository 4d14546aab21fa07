"""What visits are for: a mission is one product in mind, pursued over some visits until it is bought or given up."""

import numpy as np

from .catalogue import Catalogue
from .events import Columns
from .mind import Mind

# A visit goes on with what the one before was for, this often and after so many days at most.
_GOES_ON, _DAYS = 0.65, 14
_TRIES = 4  # how often somebody thinks of something else than what they have been after before


def missions(mind: Mind, visits: Columns, catalogue: Catalogue, rng: np.random.Generator) -> Columns:
    """The visits with `intent`, the product in mind, and `last`, whether the mission ends with the visit.

    `visits` are in order of person and day. Who has been after a thing comes for another the next time, unless it is
    used up by then.
    """
    drawn = mind.wanted(mind.row(visits["person"], visits["day"]), visits["day"], rng)
    same = np.diff(visits["person"], prepend=-1) == 0
    soon = np.diff(visits["day"], prepend=0) <= _DAYS
    goes_on = same & soon & (rng.random(len(drawn)) < _GOES_ON)
    starts = np.flatnonzero(~goes_on)
    for _ in range(_TRIES):
        known = ~firsts(visits["person"][starts], drawn[starts], len(catalogue))
        again = starts[known & ~catalogue.used_up[drawn[starts]]]
        drawn[again] = mind.wanted(mind.row(visits["person"][again], visits["day"][again]), visits["day"][again], rng)
    places = np.arange(len(drawn))
    intent = drawn[np.maximum.accumulate(np.where(goes_on, 0, places))]
    return visits | {"intent": intent, "last": ~np.append(goes_on[1:], False)}


def firsts(person: np.ndarray, product: np.ndarray, products: int) -> np.ndarray:
    """Which rows are the first of their person and product, in the order given."""
    found = np.zeros(len(person), dtype=bool)
    found[np.unique(person * products + product, return_index=True)[1]] = True
    return found
