"""Runs of words as places in a table."""

from __future__ import annotations

import numpy as np

from encoders.heads.blend import blend
from encoders.heads.corpora import Labelled
from encoders.heads.ngrams import ngram_places, summed_weights

SIZE = 2**16


def test_places_are_of_runs_of_words_in_both_scripts() -> None:
    # Six words: six, five and four runs.
    assert len(ngram_places("质量很好good!", SIZE)) == 15
    assert set(ngram_places("质量", SIZE)) < set(ngram_places("质量很好", SIZE))
    np.testing.assert_array_equal(ngram_places("Not GOOD", SIZE), ngram_places("not good", SIZE))
    assert set(ngram_places("not good", SIZE)) != set(ngram_places("good not", SIZE))
    assert len(ngram_places("。 👍", SIZE)) == 0


def test_weights_are_summed_per_root_of_how_many_there_are() -> None:
    weights = np.arange(SIZE, dtype=np.float32)
    places = ngram_places("很好", SIZE)
    found = summed_weights(["很好", ""], weights)
    np.testing.assert_allclose(found, [places.sum() / np.sqrt(len(places)), 0.0], rtol=1e-6)


def test_both_heads_have_an_equal_say() -> None:
    drawn = np.random.default_rng(0)
    rows = [Labelled(text, label, "zh", "made") for text, label in (("很好", 1), ("太差", 0))] * 200
    by_vector = np.array([row.label for row in rows]) * 20.0 - 10 + drawn.normal(0, 15, len(rows))
    weights = np.zeros(SIZE, np.float16)
    weights[ngram_places("很好", SIZE)] = 1
    of_vector, of_ngrams, _ = blend(by_vector, rows, weights)
    by_ngrams = summed_weights([row.text for row in rows], weights.astype(np.float32))
    assert of_vector > 0
    np.testing.assert_allclose(of_vector * by_vector.std(), of_ngrams * by_ngrams.std(), rtol=1e-4)
