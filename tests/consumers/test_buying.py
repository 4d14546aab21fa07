"""How people buy: against a published figure, against simulated people, and day by day."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from pipelines.consumers.acts import Acts
from pipelines.consumers.buying import BgNbd, GammaGamma, Purchases
from pipelines.consumers.value import expected_spend, labels
from pipelines.errors import ConsumerError

NOW = datetime(2026, 6, 1, tzinfo=UTC)
# Parameters for CDNOW's customers in weeks, and one of them, from "A Note on Implementing the BG/NBD in Excel" (2005).
CDNOW = BgNbd(0.243, 4.414, 0.793, 2.426)


def person(repeats: float, recency: float, age: float, spend: float = 1.0) -> Purchases:
    return Purchases(pd.Index(["u"]), *(np.array([float(value)]) for value in (repeats, recency, age, spend)))


def test_a_published_customer() -> None:
    assert CDNOW.expected(person(2, 30.43, 38.86), 39)[0] == pytest.approx(1.226, abs=0.002)


def test_who_bought_once_is_alive_and_who_is_long_silent_hardly() -> None:
    assert CDNOW.alive(person(0, 0, 30))[0] == 1
    assert CDNOW.alive(person(9, 20, 21))[0] > 0.8 > 0.1 > CDNOW.alive(person(9, 20, 60))[0]


def simulated(model: BgNbd, people: int, days: float, more: float) -> tuple[Purchases, np.ndarray]:
    """People of a model watched for `days` after their first purchase, and what each buys in the `more` days after."""
    random = np.random.default_rng(4)
    rate, leaves = random.gamma(model.r, 1 / model.alpha, people), random.beta(model.a, model.b, people)
    repeats, recency, later = np.zeros(people), np.zeros(people), np.zeros(people)
    for one in range(people):
        at = 0.0
        while True:
            at += random.exponential(1 / rate[one])
            if at > days + more:
                break
            if at <= days:
                repeats[one], recency[one] = repeats[one] + 1, at
            else:
                later[one] += 1
            if random.random() < leaves[one]:
                break
    users = pd.Index([f"u{number}" for number in range(people)])
    return Purchases(users, repeats, recency, np.full(people, days), np.ones(people)), later


def test_parameters_are_found_again_and_expectations_come_true() -> None:
    truth = BgNbd(r=0.9, alpha=12.0, a=0.8, b=2.5)
    known, later = simulated(truth, 8_000, days=120, more=60)
    found = BgNbd.fit(known)
    assert found.likelihood(known).mean() >= truth.likelihood(known).mean()
    assert (found.r, found.alpha) == pytest.approx((truth.r, truth.alpha), rel=0.15)
    expected = found.expected(known, 60)
    assert expected.sum() == pytest.approx(later.sum(), rel=0.05)
    for repeats in (0, 1, 4):
        of = known.repeats == repeats
        error = later[of].std() / np.sqrt(of.sum())
        assert expected[of].mean() == pytest.approx(later[of].mean(), abs=4 * error)


def test_worth_is_drawn_towards_the_usual_where_little_was_bought() -> None:
    random, people = np.random.default_rng(5), 5_000
    mean = 30 / random.gamma(6.0, 1 / 5.0, people)
    times = random.integers(1, 8, people)
    spend = np.array([random.gamma(4.0 * n, m / 4.0 / n) for n, m in zip(times, mean, strict=True)])
    zeros = np.zeros(people)
    of = Purchases(pd.Index([f"u{n}" for n in range(people)]), times.astype(np.float64) - 1, zeros, zeros, spend)
    expected = GammaGamma.fit(of).expected(of)
    assert np.abs(expected - mean).mean() < 0.95 * np.abs(spend - mean).mean()
    once = times == 1
    assert np.std(expected[once]) < 0.85 * np.std(spend[once])


def test_days_with_purchases_are_counted_up_to_the_moment() -> None:
    def act(user: str, days_ago: float, spent: float, kind: str = "purchase") -> dict[str, object]:
        return {"user_id": user, "event_type": kind, "at": NOW - timedelta(days=days_ago), "spent": spent}

    acts = pd.DataFrame(
        [act("a", 10.5, 4), act("a", 10.2, 6), act("a", 3.5, 20), act("b", 0.5, 7), act("c", 2, 0, "view")]
    )
    of = Purchases.of(acts, NOW)
    assert list(of.users) == ["a", "b"]
    assert of.repeats.tolist() == [1, 0]
    assert of.recency.tolist() == [7, 0]
    assert of.age.tolist() == [11, 1]
    assert of.mean_spend.tolist() == [15, 7]
    with pytest.raises(ConsumerError, match="2 accounts bought; at least 20"):
        BgNbd.fit(of)


def test_who_will_spend_is_told_from_what_was_known_before_the_cut() -> None:
    random, rows = np.random.default_rng(6), []
    users = [f"u{number:02d}" for number in range(60)]
    for number, user in enumerate(users):
        # Every fifth one buys often and much, before the cut and after it.
        often, worth = (0.4, 50.0) if number % 5 == 0 else (0.1, 10.0)
        for day in range(-80, 30):
            at = NOW + timedelta(days=day, hours=12)
            kind, spent = ("purchase", worth * random.uniform(0.5, 2)) if random.random() < often else ("view", 0.0)
            rows.append((user, kind, None, spent, at, at))
    events = pd.DataFrame(rows, columns=["subject_id", "event_type", "product_id", "spent", "at", "known_at"])
    links = pd.DataFrame(columns=["user_id", "subject_id", "linked_at", "until"])
    acts = Acts(events.sort_values("at"), links, frozenset(users))
    found = labels(acts, NOW, timedelta(days=30))
    assert list(found.users) == users
    assert found.holds.sum() == 12
    assert found.holds[::5].all()
    expected = expected_spend(acts, NOW, timedelta(days=30), found.users)
    assert set(np.argsort(-expected)[:12]) == set(range(0, 60, 5))
    assert expected.sum() == pytest.approx(found.amount.sum(), rel=0.3)
    # What comes after the cut changes nothing.
    earlier = Acts(acts.events[acts.events["at"] < NOW], links, acts.accounts)
    assert expected_spend(earlier, NOW, timedelta(days=30), found.users).tolist() == expected.tolist()
    assert labels(acts.only(frozenset(users[:9])), NOW, timedelta(days=30)).users.tolist() == users[:9]
