"""What behaviour is drawn from: who there is, what there is, and when."""

from dataclasses import dataclass

import numpy as np

from .catalogue import Catalogue
from .people import People
from .period import Period, assortment


@dataclass(frozen=True)
class World:
    """`days` is how much each product is put forward each day, (products, days), at most 1."""

    people: People
    catalogue: Catalogue
    period: Period
    days: np.ndarray


def make_world(people: People, catalogue: Catalogue, period: Period) -> World:
    """A world whose assortment follows from its catalogue and period."""
    return World(people, catalogue, period, assortment(catalogue, period))
