"""What products and searches are about: words first, pictures where words are silent."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.tags.about import ABOUT, NOT_NAMED, Captions, Product, Recogniser
from pipelines.tags.catalogue import Catalogue
from pipelines.tags.look_alikes import fit_look_alikes
from pipelines.tags.words import Vocabulary
from tests.tags.test_catalogue import TAG, catalogue

COLOURS = {
    "blue": {"name": {"zh": "蓝", "en": "blue"}, "words": ["blue", "蓝色"], "prompts": ["a blue thing"]},
    "navy": {"name": {"zh": "藏青", "en": "navy"}, "words": ["navy", "navy blue"], "prompts": ["a navy thing"]},
}
PLAIN = Product("", "", None, None, {}, None, None)


@pytest.fixture(scope="module")
def known() -> Catalogue:
    return catalogue(
        facets={
            "category": {"column": "category"},
            "colour": {"attributes": ["colour"], "values": COLOURS},
            "price": {"computed": "price_third"},
        },
        topics={
            "baby": {"name": TAG["name"], "words": ["baby", "奶瓶"], "prompts": ["a baby"], "contrast": ["a tool"]},
            "gifts": {"name": TAG["name"], "words": ["gift"]},
        },
    )


def about(known: Catalogue, recogniser: Recogniser | None = None, **product: Any) -> dict[str, float]:
    return (recogniser or Recogniser(known)).of_product(dataclasses.replace(PLAIN, **product))


def test_an_attribute_is_believed_before_words_and_words_before_the_picture(known: Catalogue) -> None:
    captions = {"colour": Captions(np.eye(2, dtype=np.float32), np.array([0, 1]))}
    recogniser, navy = Recogniser(known, captions), np.array([0.0, 1.0], dtype=np.float32)
    said = about(known, recogniser, title="blue dress", attributes={"colour": "navy"}, picture=navy)
    assert said == {"colour:navy": 1.0}
    assert about(known, recogniser, title="blue dress", picture=navy) == {"colour:blue": 1.0}
    assert about(known, recogniser, title="dress", picture=navy)["colour:navy"] > 0.99
    assert about(known, recogniser, title="dress") == {}


def test_columns_prices_and_topics(known: Catalogue) -> None:
    found = about(known, title="奶瓶 gift box", category="Kitchen", price_third="low")
    assert found == {"category:Kitchen": 1.0, "price:low": 1.0, "baby": 1.0, "gifts": 1.0}
    assert about(known, title="giftedness and babysitting") == {}


def test_words_that_say_two_values_share(known: Catalogue) -> None:
    assert about(known, title="blue and navy stripes") == {"colour:blue": 0.5, "colour:navy": 0.5}
    assert about(known, title="a navy blue coat") == {"colour:navy": 1.0}


def test_a_search_is_about_what_it_names(known: Catalogue) -> None:
    recogniser = Recogniser(known)
    assert recogniser.of_search("蓝色奶瓶") == {"baby": 1.0, "colour:blue": 1.0}
    assert recogniser.of_search("tent") == {}


def test_a_topic_that_no_word_names_needs_a_picture_nearer_to_it_than_to_what_it_is_not(known: Catalogue) -> None:
    captions = {"baby": Captions(np.eye(2, dtype=np.float32), np.array([0, -1]))}
    recogniser = Recogniser(known, captions)
    assert about(known, recogniser, picture=np.array([0.9, 0.1], dtype=np.float32))["baby"] > 0.99
    assert about(known, recogniser, picture=np.array([0.1, 0.9], dtype=np.float32)) == {}


def test_labels_are_what_words_say_alone(known: Catalogue) -> None:
    labels = Recogniser(known).labels(dataclasses.replace(PLAIN, title="a blue rattle for a baby"))
    assert labels == {"colour": "blue", "baby": ABOUT, "gifts": NOT_NAMED}


@given(st.text(), st.sampled_from(["blue", "navy blue", "蓝色"]), st.text())
def test_no_text_breaks_the_words(before: str, word: str, after: str) -> None:
    named = Vocabulary({"blue": ["blue", "蓝色"], "navy": ["navy blue"]}).named_in(f"{before} {word} {after}")
    assert ("navy" if word == "navy blue" else "blue") in named


def test_look_alikes_learn_what_a_picture_shows_within_its_category() -> None:
    random = np.random.default_rng(1)
    kinds, colours = random.integers(0, 3, 240), random.integers(0, 2, 240)
    # What a thing is shows much more than its colour, and most of one kind are of one colour.
    colours = np.where(random.random(240) < 0.6, kinds % 2, colours)
    pictures = 3.0 * np.eye(8)[kinds] + 0.5 * np.eye(8)[3 + colours] + 0.1 * random.normal(size=(240, 8))
    unit = (pictures / np.linalg.norm(pictures, axis=1, keepdims=True)).astype(np.float32)
    names = [f"kind {kind}" for kind in kinds]
    learned = fit_look_alikes(list(unit[:160]), names[:160], [f"c{c}" for c in colours[:160]])
    assert learned is not None
    shares = np.stack([learned.shares(p, n) for p, n in zip(unit[160:], names[160:], strict=True)])
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    assert (shares.argmax(axis=1) == colours[160:]).mean() > 0.95


def test_too_few_labels_teach_nothing() -> None:
    pictures = list(np.eye(8, dtype=np.float32))
    assert fit_look_alikes(pictures[:7], [None] * 7, ["a", "b"] * 3 + ["a"]) is None
    assert fit_look_alikes(pictures, [None] * 8, ["a"] * 8) is None
