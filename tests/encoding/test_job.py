"""Silver in, embeddings out: through the real Spark job, the real workers and the bundled encoders."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC
from typing import Any

import numpy as np
import pytest

from encoders.decoder import select_frames
from encoders.heads.judge import Heads
from encoders.image import decode_image
from encoders.load import load
from pipelines.encoding import job
from pipelines.encoding.job import encode
from pipelines.governance.runs import StepReport
from pipelines.releases.manifest import Release
from pipelines.tables.aggregates import EMBEDDINGS, TEXT_JUDGEMENTS
from tests.encoding.drawn import picture, video
from tests.encoding.silver_shop import AS_OF, Embeddings, Shop, figures, sha256, vector


@dataclass(frozen=True)
class Encoded:
    """A shop after one run, with the run's report and rows."""

    shop: Shop
    report: StepReport
    rows: Embeddings

    def row(self, modality: str, *names: str) -> Any:
        """Of the file of that name; of several names, of their pooled content."""
        hashes = [sha256(self.shop.media[name]) for name in names]
        content = sha256(",".join(hashes)) if modality.startswith("product_") else hashes[0]
        return self.rows[content, modality, "1"]


@pytest.fixture(scope="module")
def encoded(new_shop: Callable[[], Shop], release: Release) -> Encoded:
    shop = new_shop()
    shop.drop(
        "d1",
        media={
            "a.png": picture(1),
            "b.jpg": picture(2, image_format="JPEG"),
            "c.webp": picture(3, image_format="WEBP"),
            "d.gif": picture(4, image_format="GIF"),
            "large.png": picture(5, (2600, 1500)),
            "thin.png": picture(6, (900, 1)),
            "cut.jpg": picture(7, image_format="JPEG")[:400],
            "text.png": b"this is no picture",
            "v.mp4": video(1),
            "broken.mp4": video(2)[:300],
        },
        images={
            "p1": ["a.png", "b.jpg", "c.webp"],
            "p2": ["a.png"],
            "p3": ["b.jpg", "cut.jpg", "d.gif"],
            "p4": ["text.png", "cut.jpg"],
            "p5": ["large.png", "thin.png"],
        },
        videos={"p1": ["v.mp4"], "p2": ["v.mp4", "broken.mp4"]},
        titles={"p1": "红色连衣裙", "p2": "Blue running shoes", "p3": "红色连衣裙"},
        queries=["连衣裙", "shoes", "连衣裙", None, " "],
        reviews=[("很好", "质量不错,尺码合适"), (None, "The zip broke after a week."), ("很好", "质量不错,尺码合适")],
        messages=["什么时候发货?", "The zip broke after a week."],
    )
    report = encode(shop.store, shop.run(), release)
    return Encoded(shop, report, shop.embeddings())


def test_every_content_has_one_row(encoded: Encoded) -> None:
    found: dict[str, int] = {}
    for _, modality, _ in encoded.rows:
        found[modality] = found.get(modality, 0) + 1
    assert found == {
        "image": 8,
        "video": 2,
        "product_text": 2,
        "query": 2,
        "review": 3,
        "clause": 3,
        "product_image": 5,
        "product_video": 2,
    }


def test_vectors_are_unit_and_of_their_encoder(encoded: Encoded, release: Release) -> None:
    for row in encoded.rows.values():
        spec = release.review if row.modality in ("review", "clause") else release.clip
        assert (row.encoder, row.encoder_version) == (spec.name, spec.version)
        assert row.created_at.astimezone(UTC) == AS_OF
        if row.status == "ok":
            assert row.reason is None
            assert row.dimensions == spec.dimensions == len(vector(row))
            assert np.linalg.norm(vector(row)) == pytest.approx(1, abs=1e-5)
        else:
            assert row.vector is None
            assert row.reason


def test_dirt_becomes_rows_with_reasons(encoded: Encoded) -> None:
    assert encoded.row("image", "cut.jpg").reason == "truncated"
    assert encoded.row("image", "text.png").reason == "not_an_image"
    assert encoded.row("video", "broken.mp4").reason == "not_a_video"
    assert encoded.row("image", "a.png").reason is None


def test_figures_count_what_is_in_the_table(encoded: Encoded) -> None:
    counted: dict[tuple[str | None, str, str | None], float] = {}
    for row in encoded.rows.values():
        key = (row.modality, "encoded" if row.status == "ok" else "failed", row.reason)
        counted[key] = counted.get(key, 0) + 1
    assert figures(encoded.report) == counted | {("text_judgements", "rows_written", None): 3}
    assert any(f.measure == "seconds" for f in encoded.report.figures)


def test_vectors_are_those_of_the_plain_encoder(encoded: Encoded, release: Release) -> None:
    cache = encoded.shop.store.settings.cache_dir
    clip, review = load(release.clip, cache_dir=cache), load(release.review, cache_dir=cache)
    media = encoded.shop.media
    frames = select_frames(media["v.mp4"])
    mean = clip.encode_images([frame.image for frame in frames]).mean(axis=0)
    expected = {
        **{
            (sha256(media[n]), "image"): clip.encode_images([decode_image(media[n])])[0]
            for n in ("a.png", "b.jpg", "c.webp", "d.gif", "large.png")
        },
        (sha256(media["v.mp4"]), "video"): mean / np.linalg.norm(mean),
        (sha256("红色连衣裙"), "product_text"): clip.encode_texts(["红色连衣裙"])[0],
        (sha256("shoes"), "query"): clip.encode_texts(["shoes"], role="query")[0],
        (sha256("什么时候发货?"), "review"): review.encode_texts(["什么时候发货?"], role="passage")[0],
        (sha256("很好 质量不错,尺码合适"), "review"): review.encode_texts(["很好 质量不错,尺码合适"])[0],
    }
    for (content, modality), plain in expected.items():
        row = encoded.rows[content, modality, "1"]
        assert float(vector(row) @ plain) > 0.999, (modality, row.reason)
    seconds = encoded.row("video", "v.mp4").details["frame_seconds"].split(";")
    assert [float(s) for s in seconds] == pytest.approx([f.seconds for f in frames], abs=1e-3)


def test_every_text_is_judged_once_as_by_the_plain_heads(encoded: Encoded, release: Release) -> None:
    rows = {row.content_hash: row for row in encoded.shop.store.read(TEXT_JUDGEMENTS).collect()}
    texts = ["很好 质量不错,尺码合适", "The zip broke after a week.", "什么时候发货?"]
    assert sorted(rows) == sorted(map(sha256, texts))
    assert release.heads is not None
    review = load(release.review, cache_dir=encoded.shop.store.settings.cache_dir)
    plain = Heads(release.heads).judge(texts, review.encode_texts(texts), review)
    for text, expected in zip(texts, plain, strict=True):
        row = rows[sha256(text)]
        assert (row.encoder, row.encoder_version) == (release.heads.name, release.heads.version)
        assert (row.label, row.language) == (expected.label, expected.language)
        assert row.sentiment == pytest.approx(expected.sentiment, abs=1e-3)
        assert row.confidence == pytest.approx(expected.confidence, abs=1e-3)
        found = [(o.aspect, o.polarity, o.quote, o.start, o.end) for o in row.opinions]
        assert found == [(o.aspect, o.polarity, o.clause.text, o.clause.start, o.clause.end) for o in expected.opinions]
    quoted = {(o.aspect, o.polarity, o.quote) for o in rows[sha256(texts[0])].opinions}
    assert ("quality", 1, "质量不错") in quoted


def test_pooled_vectors_equal_numpy(encoded: Encoded) -> None:
    def mean(modality: str, *names: str) -> np.ndarray:
        summed = np.mean([vector(encoded.row(modality, name)) for name in names], axis=0)
        return np.asarray(summed / np.linalg.norm(summed))

    three = encoded.row("product_image", "a.png", "b.jpg", "c.webp")
    np.testing.assert_allclose(vector(three), mean("image", "a.png", "b.jpg", "c.webp"), atol=1e-6)
    partly = encoded.row("product_image", "b.jpg", "cut.jpg", "d.gif")
    np.testing.assert_allclose(vector(partly), mean("image", "b.jpg", "d.gif"), atol=1e-6)
    assert partly.details == {"members": "3", "members_missing": "1"}
    nothing = encoded.row("product_image", "text.png", "cut.jpg")
    assert (nothing.status, nothing.reason, nothing.vector) == ("failed", "no_member_vector", None)
    film = encoded.row("product_video", "v.mp4", "broken.mp4")
    np.testing.assert_allclose(vector(film), mean("video", "v.mp4"), atol=1e-6)


def test_again_means_no_worker_and_no_write(
    encoded: Encoded, release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("an encoder was asked for")

    monkeypatch.setattr(job, "encoding_function", refuse)
    store = encoded.shop.store
    version, judged = store.version(EMBEDDINGS), store.version(TEXT_JUDGEMENTS)
    report = encode(store, encoded.shop.run(days=1), release)
    assert store.version(EMBEDDINGS) == version
    assert store.version(TEXT_JUDGEMENTS) == judged
    assert report.total("encoded") == report.total("failed") == 0
    assert report.total("from_cache") == len(encoded.rows) - 7  # pooled contents follow from the others
