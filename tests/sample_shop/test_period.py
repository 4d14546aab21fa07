"""The rhythm of the year: dates, sales, seasons, launches."""

from datetime import UTC, datetime

import numpy as np
import pytest

from pipelines.sample_shop.catalogue import DAY, build_catalogue
from pipelines.sample_shop.goods import CATEGORIES
from pipelines.sample_shop.period import Period, assortment, category_season, sale_days, visits_by_day

START = datetime(2026, 1, 1, tzinfo=UTC)  # a Thursday
YEAR = Period(round(START.timestamp()) * 1_000_000, 365, 3)


def _day(month: int, day: int) -> int:
    return (datetime(2026, month, day, tzinfo=UTC) - START).days


def test_dates_weekends_and_sales_are_those_of_the_calendar() -> None:
    assert YEAR.dates[_day(11, 11)] == np.datetime64("2026-11-11")
    assert YEAR.weekend()[_day(1, 3)]
    assert not YEAR.weekend()[_day(1, 5)]
    assert np.flatnonzero(sale_days(YEAR)).tolist() == [
        *(_day(6, day) for day in (16, 17, 18)),
        *(_day(11, day) for day in (9, 10, 11)),
        *(_day(12, day) for day in (11, 12)),
    ]


def test_a_sale_brings_visits_and_a_lull_after_it() -> None:
    visits = visits_by_day(YEAR)
    usual = np.median(visits)
    assert visits[_day(11, 11)] > 1.6 * usual
    assert visits[_day(6, 20)] < 0.9 * usual


@pytest.mark.parametrize("days", [1, 3])
def test_a_period_may_be_shorter_than_a_lull(days: int) -> None:
    assert visits_by_day(Period(YEAR.start_us, days, 3)).shape == (days,)


def test_each_category_has_its_own_season() -> None:
    season = dict(zip((category.en for category in CATEGORIES), category_season(YEAR), strict=True))
    assert season["outdoor"][_day(6, 15)] > 1.3 > 0.7 > season["outdoor"][_day(12, 15)]
    assert season["toys"][_day(12, 20)] > season["toys"][_day(6, 20)]
    assert (season["electronics"] == 1).all()


def test_nothing_is_put_forward_before_its_launch_and_most_right_after() -> None:
    catalogue = build_catalogue(200, YEAR.start_us, YEAR.days, np.random.default_rng(1))
    days = assortment(catalogue, YEAR)
    assert days.max() == 1
    new = [product for product in catalogue.products if product.launched_us > YEAR.start_us + DAY]
    assert len(new) > 20
    for product in new:
        first = (product.launched_us - YEAR.start_us) // DAY
        assert (days[product.index, : first - 1] == 0).all()
        if first + 60 < YEAR.days and CATEGORIES[product.category].en == "electronics":
            assert days[product.index, first + 1] > 1.5 * days[product.index, first + 59]
