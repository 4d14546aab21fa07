"""Batches of texts of one length, and the static encoder beside e5."""

from __future__ import annotations

import time

import numpy as np
import pytest
from sentence_transformers import SentenceTransformer

from encoders.bundled import default_cache_dir, prepared_directory
from encoders.load import Encoder
from encoders.sentence_encoder import batches_of_tokens
from encoders.static.assemble import WEIGHTS


def test_batches_hold_every_text_once_within_the_bound() -> None:
    lengths = [int(n) for n in np.random.default_rng(0).integers(1, 400, 500)]
    batches = list(batches_of_tokens(lengths, 2048))
    assert sorted(place for batch in batches for place in batch) == list(range(500))
    for batch in batches:
        assert len(batch) * max(lengths[place] for place in batch) <= 2048
    padded = sum(len(batch) * max(lengths[place] for place in batch) for batch in batches)
    assert padded < 1.1 * sum(lengths)
    longest = [max(lengths[place] for place in batch) for batch in batches]
    assert longest == sorted(longest, reverse=True)


def test_a_text_longer_than_the_bound_is_a_batch_of_its_own() -> None:
    assert list(batches_of_tokens([5000, 3, 0], 2048)) == [[0], [1, 2]]
    assert list(batches_of_tokens([], 2048)) == []


def test_the_static_encoder_is_plain_sentence_transformers(static: Encoder) -> None:
    texts = ["质量很好,穿着舒服", "The zip broke after a week.", "😀", "Ünïcödé"]
    model = SentenceTransformer(str(prepared_directory("static-text", default_cache_dir())), device="cpu")
    theirs = model.encode(texts, normalize_embeddings=True)
    np.testing.assert_allclose(static.encode_texts(texts), theirs, atol=1e-5)


def test_the_committed_weights_are_small() -> None:
    assert WEIGHTS.stat().st_size <= 15 * 2**20


def test_the_static_encoder_is_much_faster(static: Encoder, e5: Encoder) -> None:
    texts = ["这件衣服的质量很好,穿着舒服,下次还会再来买" * 2, "The zip broke after a week and nobody replied."] * 8

    def processor_seconds(encoder: Encoder, times: int) -> float:
        encoder.encode_texts(texts)
        started = time.process_time()
        for _ in range(times):
            encoder.encode_texts(texts)
        return (time.process_time() - started) / times

    assert processor_seconds(static, 20) * 10 < processor_seconds(e5, 1)


@pytest.mark.parametrize(
    ("text", "near", "far"),
    [
        ("物流很快", "快递速度不错", "颜色很难看"),
        ("The shoes are too small", "size runs small", "great customer service"),
    ],
)
def test_like_texts_are_near_in_the_static_space(static: Encoder, text: str, near: str, far: str) -> None:
    given, first, second = static.encode_texts([text, near, far])
    assert given @ first > given @ second + 0.1
