"""One user × many products, on the real stores."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from pipelines.errors import OnlineStoreError, UnknownReleaseError, UnknownServiceError
from pipelines.online.blocks import IS_PRESENT, NO_CONSENT, NOT_FOUND
from pipelines.online.ranking import Ranker, RankingAnswer
from pipelines.online.reader import OnlineReader
from pipelines.ranking.similarities import NAMES, TIERS
from pipelines.settings import ServeSettings, Settings
from tests.hand_made_home import tiny_release
from tests.online.online_home import ACTIVITY, AT, PICTURES, VECTORS, OnlineHome

RECENT = "user_recent_products_personalisation"


@pytest.fixture
def home(tmp_path: Path) -> OnlineHome:
    """p1 to p3 have pictures; ann looked at p2 last, and at p9 of which nothing is known."""
    settings = Settings(home=str(tmp_path / "home"), serve=ServeSettings(kept_products=8))
    home = OnlineHome(settings).furnish()
    for product, vector in (("p2", [0, 1.0, 0, 0]), ("p3", [0.6, 0.8, 0, 0])):
        home.write(VECTORS, product, image_vector=vector)
    home.write(
        PICTURES, "ann", mean_7d=[0.6, 0.8, 0.0, 0.0], medoid_product_ids=["p1", "p2"], medoid_weights=[0.9, 0.1]
    )
    home.write(RECENT, "ann", last_product_ids=["p2", "p9", "p1"])
    return home


def ranker(home: OnlineHome) -> Ranker:
    return Ranker(OnlineReader(home.settings))


def similarity(answer: RankingAnswer, name: str) -> list[float]:
    values: list[float] = answer.similarities.values[:, NAMES.index(name)].tolist()
    return values


def test_similarities_and_numbers_in_the_order_asked(home: OnlineHome) -> None:
    answer = ranker(home).rank("ann", ["p3", "nothing", "p1", "p3"])
    nan = float("nan")
    assert similarity(answer, "picture_7d_cosine") == pytest.approx([1.0, nan, 0.6, 1.0], nan_ok=True)
    assert similarity(answer, "best_medoid_cosine") == pytest.approx([0.8, nan, 1.0, 0.8], nan_ok=True)
    assert similarity(answer, "best_medoid_weight") == pytest.approx([0.1, nan, 0.9, 0.1], nan_ok=True)
    told = answer.similarities.histogram.sum(axis=1)
    assert told.tolist() == pytest.approx([2, nan, 2, 2], nan_ok=True)  # p9 has no picture
    [numbers] = answer.products.blocks
    price = numbers.plan.numbers.index("price")
    assert numbers.numbers()[:, price].tolist() == pytest.approx([nan, nan, 9.5, nan], nan_ok=True)
    assert numbers.statuses[:, numbers.plan.places["price"]].tolist() == [NOT_FOUND, NOT_FOUND, IS_PRESENT, NOT_FOUND]
    [activity] = [block for block in answer.user.blocks if block.plan.name == ACTIVITY]
    assert activity.column("views_7d").tolist() == [3]  # type: ignore[union-attr]
    assert (answer.user.plan.release, answer.products.plan.release) == ("r1", "r1")


@pytest.mark.parametrize("user", ["bob", "cyd", "nobody", ""])
def test_without_consent_there_are_products_alone(home: OnlineHome, user: str) -> None:
    home.write(PICTURES, "bob", mean_7d=[1.0, 0, 0, 0])
    answer = ranker(home).rank(user, ["p1"])
    assert np.isnan(answer.similarities.values).all()
    assert answer.similarities.histogram.shape == (1, TIERS)
    assert {int(s) for block in answer.user.blocks for s in block.statuses.reshape(-1)} == {NO_CONSENT}
    assert np.nanmax(answer.products.blocks[0].numbers()) == 11


def test_vectors_are_kept_for_a_while_and_numbers_are_not(home: OnlineHome, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("pipelines.online.kept_vectors.time.monotonic", lambda: now[0])
    asked = ranker(home)
    assert similarity(asked.rank("ann", ["p1"]), "picture_7d_cosine") == pytest.approx([0.6])
    later = AT + timedelta(hours=1)
    home.write(VECTORS, "p1", later, image_vector=[0.0, 1.0, 0.0, 0.0])
    home.write("product_activity", "p1", later, price=1.0)
    still = asked.rank("ann", ["p1"])
    assert similarity(still, "picture_7d_cosine") == pytest.approx([0.6])
    assert 1.0 in still.products.blocks[0].numbers()[0]
    now[0] = 31.0
    assert similarity(asked.rank("ann", ["p1"]), "picture_7d_cosine") == pytest.approx([0.8])


def test_more_products_than_are_kept(home: OnlineHome) -> None:
    asked, names = ranker(home), [f"q{i}" for i in range(30)]
    for i, name in enumerate(names):
        home.write(VECTORS, name, image_vector=[float(np.cos(i)), float(np.sin(i)), 0.0, 0.0])
    expected = [0.6 * np.cos(i) + 0.8 * np.sin(i) for i in range(30)]
    assert similarity(asked.rank("ann", names), "picture_7d_cosine") == pytest.approx(expected, abs=1e-6)
    for start in range(0, 30, 4):
        some = asked.rank("ann", names[start : start + 4])
        assert similarity(some, "picture_7d_cosine") == pytest.approx(expected[start : start + 4], abs=1e-6)


def test_of_one_release_or_refused(home: OnlineHome) -> None:
    asked = ranker(home)
    home.release([tiny_release("r1", "1"), tiny_release("r2", "2")], "r2")
    second = asked.rank("ann", ["p1"])
    assert (second.user.plan.release, second.products.plan.release) == ("r2", "r2")
    assert np.isnan(similarity(second, "picture_7d_cosine")).all()
    assert similarity(asked.rank("ann", ["p1"], release="r1"), "picture_7d_cosine") == pytest.approx([0.6])
    with pytest.raises(UnknownReleaseError):
        asked.rank("ann", ["p1"], release="r9")
    with pytest.raises(UnknownServiceError, match="there are: ranking, ranking_r1, ranking_r2"):
        asked.rank("ann", ["p1"], "recommendation")


def test_vectors_of_two_lengths_are_a_fault(home: OnlineHome) -> None:
    home.write(VECTORS, "p5", image_vector=[1.0, 0.0])
    with pytest.raises(OnlineStoreError, match="different lengths"):
        ranker(home).rank("ann", ["p1", "p5"])
