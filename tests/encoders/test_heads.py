"""The committed heads on both bundled text encoders, on sentences written for these tests."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from encoders.errors import EncoderChecksumError, EncoderError, EncoderFilesMissingError
from encoders.heads.fit import logistic
from encoders.heads.judge import Heads
from encoders.heads.judgement import Judgement
from encoders.heads.kept_vectors import KeptVectors
from encoders.heads.language import written_in
from encoders.heads.spec import HERE, VERSION, HeadsSpec, heads_for, resolve_heads
from encoders.load import Encoder
from encoders.spec import resolve

PRAISE = [
    "东西非常好,很喜欢,下次还会买",
    "质量很好,物超所值",
    "Great quality, I love it",
    "Works perfectly, highly recommend",
]
BLAME = [
    "太差了,用了两天就坏,后悔买",
    "质量太差,客服态度恶劣",
    "Terrible quality, a waste of money",
    "It broke after two days, very disappointed",
]


@pytest.fixture(params=["e5", "static"])
def encoder(request: pytest.FixtureRequest) -> Encoder:
    found: Encoder = request.getfixturevalue(request.param)
    return found


def judge(encoder: Encoder, *texts: str) -> list[Judgement]:
    heads = Heads(resolve_heads(encoder.spec.uri))
    return heads.judge(texts, encoder.encode_texts(list(texts)), encoder)


def test_praise_scores_above_blame(encoder: Encoder) -> None:
    good, bad = judge(encoder, *PRAISE), judge(encoder, *BLAME)
    assert min(j.sentiment for j in good) > max(j.sentiment for j in bad)
    # One odd clause makes a review mixed (see the card's limits); none is taken for its opposite.
    assert {j.label for j in good} <= {"positive", "mixed"}
    assert {j.label for j in bad} <= {"negative", "mixed"}


def test_aspects_are_praised_and_blamed_apart(encoder: Encoder) -> None:
    chinese, english = judge(
        encoder, "质量非常好,可是快递太慢了,等了半个月", "The quality is excellent, but the shipping was terribly slow"
    )
    for judgement in (chinese, english):
        assert "quality" in judgement.praised
        assert "delivery" in judgement.blamed
        assert "delivery" not in judgement.praised
        assert judgement.label == "mixed"


def test_a_judgement_does_not_depend_on_its_company(encoder: Encoder) -> None:
    together = judge(encoder, *PRAISE, *BLAME)
    for text, expected in zip(PRAISE + BLAME, together, strict=True):
        alone = judge(encoder, text)[0]
        assert alone.sentiment == pytest.approx(expected.sentiment, abs=1e-3)
        assert (alone.label, alone.praised, alone.blamed) == (expected.label, expected.praised, expected.blamed)
    assert judge(encoder) == []


def test_opinions_can_be_quoted(encoder: Encoder) -> None:
    text = "收到了,物流很快。The quality is terrible, it broke at once"
    (judgement,) = judge(encoder, text)
    quotes = {(opinion.aspect, opinion.polarity): opinion.clause for opinion in judgement.opinions}
    assert quotes["delivery", 1].text == "物流很快"
    assert quotes["quality", -1].text in ("The quality is terrible", "it broke at once")
    for opinion in judgement.opinions:
        assert text[opinion.clause.start : opinion.clause.end] == opinion.clause.text
        assert 0.7 <= opinion.confidence <= 1
    assert judgement.confidence == pytest.approx((1 + abs(judgement.sentiment)) / 2)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("质量很好", "zh"),
        ("iPhone 15 很好用", "zh"),
        ("very good", "en"),
        ("とても良いです", "other"),
        ("👍 5", "other"),
    ],
)
def test_the_language_is_told_by_letters(text: str, language: str) -> None:
    assert written_in(text) == language


def test_texts_without_words_are_judged_too(encoder: Encoder) -> None:
    for judgement in judge(encoder, "👍👍👍", "5", "a " * 2000):
        assert -1 <= judgement.sentiment <= 1


def test_heads_are_checked_against_their_spec_and_their_encoder(tmp_path: Path) -> None:
    spec = resolve("bundled:e5-small")
    heads = resolve_heads("bundled:e5-small")
    assert HeadsSpec.from_json(heads.to_json()) == heads
    heads.require_on(spec)
    with pytest.raises(EncoderChecksumError, match="train the heads anew"):
        heads.require_on(dataclasses.replace(spec, checksum="sha256:0"))
    with pytest.raises(EncoderChecksumError, match="restore the file"):
        Heads(dataclasses.replace(heads, checksum="sha256:0"))
    with pytest.raises(EncoderFilesMissingError, match="no heads at file:"):
        resolve_heads(f"file:{tmp_path / 'gone.safetensors'}")
    (tmp_path / "text").write_text("no weights")
    with pytest.raises(EncoderError, match="no safetensors file"):
        resolve_heads(f"file:{tmp_path / 'text'}")
    with pytest.raises(EncoderError, match="not a spec of heads"):
        HeadsSpec.from_json('{"name": "x"}')


def test_which_encoders_have_heads() -> None:
    e5, static = heads_for(resolve("bundled:e5-small")), heads_for(resolve("bundled:static-text"))
    assert e5 is not None
    assert static is not None
    assert (e5.key, static.key) == (f"e5-small-heads/{VERSION}", f"static-text-heads/{VERSION}")
    assert heads_for(resolve("bundled:compact-clip")) is None
    assert heads_for(resolve("sentence-transformers:all-MiniLM-L6-v2", dimensions=384)) is None


def test_committed_figures_do_not_fall() -> None:
    figures = json.loads((HERE / "metrics.json").read_text(encoding="utf-8"))
    for name, language, floor in (
        ("e5-small", "zh", 0.83),
        ("e5-small", "en", 0.85),
        ("static-text", "zh", 0.83),
        ("static-text", "en", 0.77),
    ):
        assert figures[name][language]["reviews"]["accuracy"] >= floor, (name, language)


def test_logistic_regression_finds_a_plane() -> None:
    drawn = np.random.default_rng(0)
    inputs = drawn.normal(size=(2000, 3))
    likely = 1 / (1 + np.exp(-(inputs @ [2.0, -1.0, 0.0] + 0.5)))
    labels = (drawn.random(2000) < likely).astype(int)
    weights, intercept = logistic(inputs, labels, ridge=1e-3)
    np.testing.assert_allclose(weights, [2.0, -1.0, 0.0], atol=0.25)
    assert intercept == pytest.approx(0.5, abs=0.2)
    none, _ = logistic(inputs, labels, np.zeros(2000), ridge=1.0)
    np.testing.assert_allclose(none, 0, atol=1e-6)


def test_vectors_are_kept_and_asked_for_once(static: Encoder, tmp_path: Path) -> None:
    asked: list[int] = []

    def encoder() -> Encoder:
        asked.append(1)
        return static

    first = KeptVectors(encoder, tmp_path).of(["好", "bad", "好"])
    again = KeptVectors(encoder, tmp_path).of(["好", "bad", "好"])
    assert len(asked) == 1
    np.testing.assert_allclose(first, again, atol=1e-3)
    np.testing.assert_array_equal(first[0], first[2])
