"""The simulated time and its rhythm: seasons of the year, sale days, and what they do to the assortment."""

from dataclasses import dataclass

import numpy as np

from .catalogue import DAY, Catalogue
from .goods import CATEGORIES

_YEAR = 365.25
# Category → (day of the year on which most is bought, how much the year sways it). Others do not sway.
_PEAKS = {
    "shoes": (95, 0.15),
    "clothing": (285, 0.25),
    "bags": (240, 0.15),
    "accessories": (345, 0.3),
    "home": (75, 0.15),
    "toys": (355, 0.35),
    "sports": (150, 0.35),
    "outdoor": (165, 0.5),
    "stationery": (240, 0.5),
    "kitchen": (20, 0.15),
}
# Month and days of the large sales.
_SALES = {(6, 16), (6, 17), (6, 18), (11, 9), (11, 10), (11, 11), (12, 11), (12, 12)}
_SALE_VISITS = 1.9
_LULL_DAYS, _LULL = 4, 0.8
# A new product is put forward: this much more often on its first day, less with every day.
_NOVELTY, _NOVELTY_DAYS = 1.5, 21.0


@dataclass(frozen=True)
class Period:
    """The simulated time: microseconds since 1970 UTC, the end exclusive; Monday is weekday 0."""

    start_us: int
    days: int
    first_weekday: int

    @property
    def end_us(self) -> int:
        return self.start_us + self.days * DAY

    @property
    def dates(self) -> np.ndarray:
        """The period's UTC dates, datetime64[D]."""
        return np.datetime64(self.start_us, "us").astype("datetime64[D]") + np.arange(self.days)

    def day_of_year(self) -> np.ndarray:
        """0 for 1 January, per day of the period."""
        dates = self.dates
        return (dates - dates.astype("datetime64[Y]")).astype(np.int64)

    def weekend(self) -> np.ndarray:
        """Whether each day is a Saturday or Sunday."""
        return np.isin((np.arange(self.days) + self.first_weekday) % 7, (5, 6))


def sale_days(period: Period) -> np.ndarray:
    """Whether each day is one of a large sale."""
    dates = period.dates
    month = dates.astype("datetime64[M]")
    day = (dates - month).astype(np.int64) + 1
    months = month.astype(np.int64) % 12 + 1
    return np.array([pair in _SALES for pair in zip(months.tolist(), day.tolist(), strict=True)])


def visits_by_day(period: Period) -> np.ndarray:
    """How many more or fewer visits than usual each day brings: winter evenings, sales, the lull after a sale."""
    factor = 1 + 0.1 * np.cos(2 * np.pi * (period.day_of_year() - 340) / _YEAR)
    sale = sale_days(period)
    lull = np.zeros(period.days, dtype=bool)
    for step in range(1, min(_LULL_DAYS, period.days - 1) + 1):
        lull[step:] |= sale[: period.days - step]
    return factor * np.where(sale, _SALE_VISITS, np.where(lull, _LULL, 1.0))


def category_season(period: Period) -> np.ndarray:
    """What the time of the year does to each category, (categories, days), about 1."""
    season = np.ones((len(CATEGORIES), period.days))
    for place, category in enumerate(CATEGORIES):
        if category.en in _PEAKS:
            peak, sway = _PEAKS[category.en]
            season[place] += sway * np.cos(2 * np.pi * (period.day_of_year() - peak) / _YEAR)
    return season


def assortment(catalogue: Catalogue, period: Period) -> np.ndarray:
    """How much each product is in season and put forward, float32 (products, days): at most 1, and 0 before launch."""
    age = (period.start_us + np.arange(period.days)[None, :] * DAY - catalogue.column("launched_us")[:, None]) / DAY
    novelty = 1 + _NOVELTY * np.exp(-np.maximum(age, 0) / _NOVELTY_DAYS)
    weight = category_season(period)[catalogue.column("category")] * novelty * (age > -1)
    return (weight / max(weight.max(), 1e-9)).astype(np.float32)
