"""Sentiment and aspects are absent without heads, and measured against what was planted with them."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from encoders.evaluation.estimates import macro_f1
from encoders.heads.spec import HeadsSpec
from pipelines.evaluation.measures.review_aspects import REVIEW_ASPECTS
from pipelines.evaluation.measures.review_sentiment import REVIEW_SENTIMENT
from pipelines.tables.aggregates import TEXT_JUDGEMENTS
from pipelines.tables.sources import REVIEWS
from tests.evaluation import planted as planting
from tests.evaluation.planted import RELEASE, Planted

HEADS = HeadsSpec("tiny-heads", "1", "bundled:tiny", "sha256:1", "sha256:0")


@pytest.fixture
def said(planted: Planted) -> Planted:
    planted.true(
        "reviews",
        {"review_id": "r1", "sentiment": "positive", "praised": ["size", "price"], "blamed": []},
        {"review_id": "r2", "sentiment": "negative", "praised": [], "blamed": ["delivery"]},
        {"review_id": "r3", "sentiment": "positive", "praised": ["price"], "blamed": ["service"]},
    )
    return planted


def judged(text: str, label: str, language: str, *opinions: tuple[str, int]) -> dict[str, Any]:
    rest = {"confidence": 0.9, "quote": "x", "start": 0, "end": 1}
    return {"content_hash": text, "label": label, "language": language,
            "opinions": [{"aspect": a, "polarity": p} | rest for a, p in opinions]}  # fmt: skip


def test_without_heads_both_are_absent(said: Planted) -> None:
    for measure in (REVIEW_SENTIMENT, REVIEW_ASPECTS):
        assert said.reason(measure) == "release r1 has no heads, so no text is judged"


def test_what_was_judged_is_measured_by_language(said: Planted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planting, "RELEASE", dataclasses.replace(RELEASE, heads=HEADS))
    said.publish(REVIEWS, [{"review_id": f"r{n}", "content_hash": f"t{n}"} for n in (1, 2)])
    rows = [
        # Nothing was planted of looks.
        judged("t1", "positive", "zh", ("size", 1), ("service", -1), ("appearance", 1)),
        judged("t2", "mixed", "en", ("delivery", -1)),
        judged("elsewhere", "negative", "en"),
    ]
    said.publish(TEXT_JUDGEMENTS, rows, {"encoder": HEADS.name, "encoder_version": HEADS.version})
    found = said.values(REVIEW_SENTIMENT)
    assert found["all reviews", "accuracy"] == 0.5
    assert found["all reviews", "macro-F1"] == 0.5
    assert (found["in zh", "accuracy"], found["in en", "accuracy"]) == (1.0, 0.0)
    assert (found["negative", "recall"], found["positive", "recall"]) == (0.0, 1.0)
    aspects = said.values(REVIEW_ASPECTS)
    assert aspects["all reviews", "precision"] == 1.0
    assert aspects["all reviews", "recall"] == pytest.approx(2 / 3)
    assert aspects["all reviews", "F1"] == pytest.approx(4 / 5)
    assert aspects["in zh", "recall"] == 0.5
    assert aspects["blamed", "F1"] == 1.0


def test_macro_f1_is_the_mean_over_the_meant_classes() -> None:
    found = macro_f1(["a", "a", "b", "b"], ["a", "b", "b", "c"])
    assert found is not None
    assert found.value == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert found.low < found.value < found.high
    assert macro_f1([], []) is None
