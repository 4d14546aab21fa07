"""Sentiment and aspects are absent until a declared table has them, and measured from then on."""

from typing import Any

import pytest

from pipelines.evaluation.measures import reviews
from pipelines.evaluation.measures.review_aspects import REVIEW_ASPECTS
from pipelines.evaluation.measures.review_sentiment import REVIEW_SENTIMENT
from pipelines.tables import DECLARED, Column, Table
from tests.evaluation.planted import Planted

JUDGED = Table(
    name="review_judgements",
    layer="features",
    comment="What a head says of a review.",
    columns=(
        Column("review_id", "string", "review"),
        Column("sentiment", "string", "label"),
        Column("aspects_praised", "array<string>", "aspects"),
        Column("aspects_blamed", "array<string>", "aspects"),
    ),
    keys=("review_id",),
)


@pytest.fixture
def said(planted: Planted) -> Planted:
    planted.true(
        "reviews",
        {"review_id": "r1", "sentiment": "positive", "praised": ["size", "price"], "blamed": []},
        {"review_id": "r2", "sentiment": "negative", "praised": [], "blamed": ["delivery"]},
    )
    return planted


def test_without_a_head_both_are_absent(said: Planted) -> None:
    assert "release r1 has no such head" in said.reason(REVIEW_SENTIMENT)
    assert "release r1 has no such head" in said.reason(REVIEW_ASPECTS)


def test_they_appear_with_the_table(said: Planted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reviews, "DECLARED", (*DECLARED, JUDGED))
    assert "no such head" in said.reason(REVIEW_SENTIMENT)
    rows: list[dict[str, Any]] = [
        {"review_id": "r1", "sentiment": "positive", "aspects_praised": ["size"], "aspects_blamed": ["service"]},
        {"review_id": "r2", "sentiment": "mixed", "aspects_praised": None, "aspects_blamed": ["delivery"]},
    ]
    said.publish(JUDGED, rows)
    assert said.values(REVIEW_SENTIMENT) == {
        ("all reviews", "accuracy"): 0.5,
        ("negative", "recall"): 0.0,
        ("positive", "recall"): 1.0,
    }
    assert said.values(REVIEW_ASPECTS) == {
        ("praised", "precision"): 1.0,
        ("praised", "recall"): 0.5,
        ("blamed", "precision"): 0.5,
        ("blamed", "recall"): 1.0,
    }
