"""The truth says of the drop what the drop does not say itself, and agrees with it where it does."""

from collections import Counter
from collections.abc import Callable
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from pipelines.sample_shop import SampleShopSummary
from pipelines.sample_shop.catalogue import build_catalogue
from pipelines.sample_shop.people import draw_people
from pipelines.sample_shop.period import Period
from pipelines.sample_shop.personas import MIXES, PERSONAS
from pipelines.sample_shop.texts import review_text
from pipelines.sample_shop.truth import AXES

Read = Callable[[str], list[dict[str, object]]]
Truth = Callable[[str], list[dict[str, Any]]]


@pytest.fixture(scope="module")
def truth(shop: SampleShopSummary) -> Truth:
    return lambda table: pq.read_table(shop.truth / f"{table}.parquet").to_pylist()


def test_every_user_has_a_taste_along_every_axis_from_the_start(truth: Truth, shop: SampleShopSummary) -> None:
    users = {row["user_id"] for row in truth("users")}
    tastes = truth("tastes")
    first = min(row["valid_from"] for row in tastes)
    assert (shop.end - first).days == 20
    for axis, names in AXES.items():
        rows = [row for row in tastes if row["axis"] == axis]
        assert {row["user_id"] for row in rows if row["valid_from"] == first} == users
        for row in rows:
            assert sum(row["shares"]) == pytest.approx(1, abs=1e-4)
            assert names[int(np.argmax(row["shares"]))] == row["favourite"]


def test_tastes_change_when_the_users_table_says_so(truth: Truth) -> None:
    starts = {row["user_id"]: row["change_starts_at"] for row in truth("users")}
    changed = [row for row in truth("tastes") if row["valid_from"] > min(r["valid_from"] for r in truth("tastes"))]
    assert changed
    for row in changed:
        start = starts[row["user_id"]]
        assert isinstance(start, datetime)
        assert row["valid_from"] >= start


def test_every_row_of_the_drop_that_needs_a_truth_has_one(truth: Truth, rows: Read) -> None:
    for table, key, prefix in (
        ("users", "user_id", "u"),
        ("reviews", "review_id", "r"),
        ("messages", "message_id", "m"),
    ):
        given = {str(row[key]) for row in rows(table) if row[key]}
        assert {name for name in given if name.startswith(prefix)} <= {str(row[key]) for row in truth(table)}


def test_links_that_the_shop_was_told_are_the_declared_ones(truth: Truth, rows: Read) -> None:
    told = {(str(row["identifier"]), row["user_id"]) for row in rows("identities")}
    declared = {(row["identifier"], row["user_id"]) for row in truth("identities") if row["declared"]}
    assert {pair for pair in told if pair[0] and not pair[0].startswith("x")} == declared
    assert any(not row["declared"] for row in truth("identities"))
    assert any(not row["belongs"] for row in truth("identities"))


def test_two_accounts_of_one_human_share_a_number_or_an_address_and_what_they_like() -> None:
    period = Period(0, 30, 0)
    people = draw_people(600, period, "city", np.random.default_rng(5))
    second = np.flatnonzero(people.human != np.arange(len(people)))
    assert 5 <= len(second) <= 40
    first = people.human[second]
    assert (people.human[first] == first).all()
    for axis in people.taste.axes:
        assert np.array_equal(axis[first], axis[second])


def test_a_review_praises_and_blames_what_its_truth_says() -> None:
    catalogue = build_catalogue(60, 0, 10, np.random.default_rng(1))
    rng = np.random.default_rng(2)
    praised, blamed = Counter[str](), Counter[str]()
    for number in range(200):
        said = review_text(catalogue, number % 60, 1 + number % 5, 1, rng)
        assert set(said.praised).isdisjoint(said.blamed)
        assert (said.sentiment == "positive") == (said.leaning > 0.3)
        praised.update(said.praised)
        blamed.update(said.blamed)
        for words, aspect, named in (("overpriced", "price", said.blamed), ("fits perfectly", "size", said.praised)):
            assert words not in said.text or aspect in named
    assert len(praised) == len(blamed) == 6


def test_mixes_differ_in_who_shops() -> None:
    period = Period(0, 30, 0)
    main = {}
    for mix in MIXES:
        people = draw_people(800, period, mix, np.random.default_rng(5))
        main[mix] = np.bincount(people.shares.argmax(axis=1), minlength=len(PERSONAS)) / len(people)
    family = [persona.name for persona in PERSONAS].index("family organiser")
    assert main["family"][family] > main["city"][family] + 0.1
