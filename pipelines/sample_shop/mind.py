"""How people choose among products: liking, price, popularity, and what the shop has and puts forward that day."""

from collections.abc import Callable

import numpy as np

from .catalogue import Catalogue
from .people import STAGES, People, Taste

_SHARES = (0.5, 0.3, 0.2)  # of kind, colour and style in how alike two products are
_MATCH = 4.0  # how much that counts in what a search finds
_NEVER = -60.0  # log weight
_TRIES = 5  # how often a product that the day does not bring up is exchanged for another


def liking(taste: Taste, price_level: np.ndarray, price_sensitivity: np.ndarray, catalogue: Catalogue) -> np.ndarray:
    """Log-utilities of products, float32 (rows, products): taste along four axes, less what the price is off."""
    columns = (catalogue.column(name) for name in ("category", "brand", "colour", "style"))
    total = sum(axis[:, column] for axis, column in zip(taste.axes, columns, strict=True))
    cents = np.log(catalogue.column("cents") / 100)
    over = np.minimum(np.abs(cents[None, :] - price_level[:, None]), 3.0)
    return (total - price_sensitivity[:, None] * over).astype(np.float32)


def likeness(catalogue: Catalogue) -> np.ndarray:
    """How alike products of one category are in kind, colour and style, float32 (products, products), 0 to 1."""
    things = np.unique([product.thing.code for product in catalogue.products], return_inverse=True)[1]
    columns = [things, *(catalogue.column(name) for name in ("colour", "style"))]
    alike = sum(share * (column[:, None] == column[None, :]) for share, column in zip(_SHARES, columns, strict=True))
    category = catalogue.column("category")
    return np.where(category[:, None] == category[None, :], alike, 0.0).astype(np.float32)


class Mind:
    """How a slice of people chooses. A row is a person at a stage of their change of taste."""

    def __init__(self, people: People, catalogue: Catalogue, who: slice, days: np.ndarray) -> None:
        """`days` is the assortment: how much each product is put forward each day, (products, days), at most 1."""
        self._people, self._days = people, days
        persons = np.arange(who.start, who.stop)
        stages = STAGES[people.change[who]]
        self._first = np.cumsum(stages) - stages
        self._start = who.start
        row_person = np.repeat(persons, stages)
        stage = np.arange(len(row_person)) - np.repeat(self._first, stages)
        taste = people.taste_at(row_person, stage)
        raw = liking(taste, people.price_level[row_person], people.price_sensitivity[row_person], catalogue)
        self._z = (raw - raw.mean(axis=1, keepdims=True)) / raw.std(axis=1, keepdims=True)
        pull = np.log(catalogue.popularity)[None, :]
        self._shown = _cumulated(0.8 * self._z + 0.8 * pull)
        self._wanted = _cumulated(2.0 * self._z + 0.4 * pull)
        self._fit = likeness(catalogue)
        category = catalogue.column("category")
        same = category[None, :] == category[:, None]
        self._found = _cumulated(np.where(same, _MATCH * self._fit + 0.7 * pull, _NEVER))

    def row(self, person: np.ndarray, day: np.ndarray) -> np.ndarray:
        return self._first[person - self._start] + self._people.stage(person, day)

    def shown(self, row: np.ndarray, day: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """What the shop puts in front of them: their taste, weakly, and what is popular and in season."""
        return self._in_season(lambda some: _pick(self._shown, row[some], rng), day, rng)

    def wanted(self, row: np.ndarray, day: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """What they come for."""
        return self._in_season(lambda some: _pick(self._wanted, row[some], rng), day, rng)

    def found(self, intent: np.ndarray, day: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """What a search for a product brings up: its category, and the more alike the more often."""
        return self._in_season(lambda some: _pick(self._found, intent[some], rng), day, rng)

    def z(self, row: np.ndarray, product: np.ndarray) -> np.ndarray:
        """Liking of products, standardised per person."""
        return self._z[row, product].astype(np.float64)

    def fit(self, intent: np.ndarray, product: np.ndarray) -> np.ndarray:
        """How well products answer to what a person has come for, 0 to 1."""
        return self._fit[intent, product].astype(np.float64)

    def _in_season(
        self, draw: Callable[[np.ndarray], np.ndarray], day: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray:
        """Draw products; those that the day does not bring up are drawn again, a few times."""
        pending = np.arange(len(day))
        product = draw(pending)
        for _ in range(_TRIES):
            refused = rng.random(len(pending)) >= self._days[product[pending], day[pending]]
            pending = pending[refused]
            product[pending] = draw(pending)
        return product


def _cumulated(logits: np.ndarray) -> np.ndarray:
    """Rows of logits as one ascending array: row i covers (i, i + 1]."""
    weight = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    total = np.cumsum(weight, axis=1)
    total /= total[:, -1:].copy()
    total += np.arange(len(logits))[:, None]
    return total


def _pick(cumulated: np.ndarray, row: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    width = cumulated.shape[1]
    place = np.searchsorted(cumulated.ravel(), row + rng.random(len(row)), side="right")
    return np.minimum(place - row * width, width - 1)
