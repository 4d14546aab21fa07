"""Silver in, embeddings out: through the real Spark job, the real workers and the bundled encoders."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from encoders.image import decode_image
from encoders.load import load
from encoders.video import select_frames
from pipelines.encoding import job
from pipelines.encoding.job import encode
from pipelines.encoding.vectors import embedding_vectors
from pipelines.errors import EncoderUnusableError
from pipelines.governance.runs import Run, StepReport
from pipelines.releases.manifest import Release
from pipelines.tables.aggregates import EMBEDDINGS

AS_OF = datetime(2026, 3, 2, tzinfo=UTC)


def _run(shop: Any, days: int = 0) -> Run:
    return Run(shop.store.settings, AS_OF + timedelta(days=days), f"run-{days}")


def _sha256(data: bytes | str) -> str:
    return hashlib.sha256(data.encode() if isinstance(data, str) else data).hexdigest()


def _rows(shop: Any) -> dict[tuple[str, str, str], Any]:
    """Every row by (content, modality, encoder version); a doubled key fails."""
    rows = shop.store.read(EMBEDDINGS).collect()
    keyed = {(r.content_hash, r.modality, r.encoder_version): r for r in rows}
    assert len(keyed) == len(rows)
    return keyed


def _vector(row: Any) -> np.ndarray:
    return np.frombuffer(row.vector, "<f4")


def _figures(report: StepReport) -> dict[tuple[str | None, str, str | None], float]:
    return {(f.subject, f.measure, f.reason): f.value for f in report.figures if f.measure != "seconds"}


@pytest.fixture(scope="module")
def encoded(
    new_shop: Callable[[], Any], release: Release, drawn: Callable[..., bytes], filmed: Callable[..., bytes]
) -> SimpleNamespace:
    shop = new_shop()
    shop.drop(
        "d1",
        media={
            "a.png": drawn(1),
            "b.jpg": drawn(2, image_format="JPEG"),
            "c.webp": drawn(3, image_format="WEBP"),
            "d.gif": drawn(4, image_format="GIF"),
            "large.png": drawn(5, (2600, 1500)),
            "thin.png": drawn(6, (900, 1)),
            "cut.jpg": drawn(7, image_format="JPEG")[:400],
            "text.png": b"this is no picture",
            "v.mp4": filmed(1),
            "broken.mp4": filmed(2)[:300],
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
    report = encode(shop.store, _run(shop), release)
    return SimpleNamespace(shop=shop, report=report, rows=_rows(shop))


def test_every_content_has_one_row(encoded: SimpleNamespace) -> None:
    found: dict[str, int] = {}
    for _, modality, _ in encoded.rows:
        found[modality] = found.get(modality, 0) + 1
    assert found == {
        "image": 8,
        "video": 2,
        "product_text": 2,
        "query": 2,
        "review": 3,
        "product_image": 5,
        "product_video": 2,
    }


def test_vectors_are_unit_and_of_their_encoder(encoded: SimpleNamespace, release: Release) -> None:
    for row in encoded.rows.values():
        spec = release.review if row.modality == "review" else release.clip
        assert (row.encoder, row.encoder_version) == (spec.name, spec.version)
        assert row.created_at.astimezone(UTC) == AS_OF
        if row.status == "ok":
            assert row.reason is None
            assert row.dimensions == spec.dimensions == len(_vector(row))
            assert np.linalg.norm(_vector(row)) == pytest.approx(1, abs=1e-5)
        else:
            assert row.vector is None
            assert row.reason


def test_dirt_becomes_rows_with_reasons(encoded: SimpleNamespace) -> None:
    media, version = encoded.shop.media, next(iter(encoded.rows))[2]

    def reason(name: str, modality: str) -> str | None:
        reason: str | None = encoded.rows[_sha256(media[name]), modality, version].reason
        return reason

    assert reason("cut.jpg", "image") == "truncated"
    assert reason("text.png", "image") == "not_an_image"
    assert reason("broken.mp4", "video") == "not_a_video"
    assert reason("a.png", "image") is None


def test_figures_count_what_is_in_the_table(encoded: SimpleNamespace) -> None:
    counted: dict[tuple[str | None, str, str | None], float] = {}
    for row in encoded.rows.values():
        key = (row.modality, "encoded" if row.status == "ok" else "failed", row.reason)
        counted[key] = counted.get(key, 0) + 1
    assert _figures(encoded.report) == counted
    assert any(f.measure == "seconds" for f in encoded.report.figures)


def test_vectors_are_those_of_the_plain_encoder(encoded: SimpleNamespace, release: Release) -> None:
    cache = encoded.shop.store.settings.cache_dir
    clip, review = load(release.clip, cache_dir=cache), load(release.review, cache_dir=cache)
    media = encoded.shop.media
    frames = select_frames(media["v.mp4"])
    mean = clip.encode_images([frame.image for frame in frames]).mean(axis=0)
    expected = {
        **{
            (_sha256(media[n]), "image"): clip.encode_images([decode_image(media[n])])[0]
            for n in ("a.png", "b.jpg", "c.webp", "d.gif", "large.png")
        },
        (_sha256(media["v.mp4"]), "video"): mean / np.linalg.norm(mean),
        (_sha256("红色连衣裙"), "product_text"): clip.encode_texts(["红色连衣裙"])[0],
        (_sha256("shoes"), "query"): clip.encode_texts(["shoes"], role="query")[0],
        (_sha256("什么时候发货?"), "review"): review.encode_texts(["什么时候发货?"], role="passage")[0],
        (_sha256("很好 质量不错,尺码合适"), "review"): review.encode_texts(["很好 质量不错,尺码合适"])[0],
    }
    for (content, modality), vector in expected.items():
        row = encoded.rows[content, modality, "1"]
        assert float(_vector(row) @ vector) > 0.999, (modality, row.reason)
    seconds = encoded.rows[_sha256(media["v.mp4"]), "video", "1"].details["frame_seconds"].split(";")
    assert [float(s) for s in seconds] == pytest.approx([f.seconds for f in frames], abs=1e-3)


def test_pooled_vectors_equal_numpy(encoded: SimpleNamespace) -> None:
    media = encoded.shop.media

    def pooled(modality: str, *names: str) -> Any:
        return encoded.rows[_sha256(",".join(_sha256(media[n]) for n in names)), modality, "1"]

    def mean(modality: str, *names: str) -> np.ndarray:
        vectors = [_vector(encoded.rows[_sha256(media[n]), modality, "1"]) for n in names]
        summed = np.mean(vectors, axis=0)
        return np.asarray(summed / np.linalg.norm(summed))

    three = pooled("product_image", "a.png", "b.jpg", "c.webp")
    np.testing.assert_allclose(_vector(three), mean("image", "a.png", "b.jpg", "c.webp"), atol=1e-6)
    partly = pooled("product_image", "b.jpg", "cut.jpg", "d.gif")
    np.testing.assert_allclose(_vector(partly), mean("image", "b.jpg", "d.gif"), atol=1e-6)
    assert partly.details == {"members": "3", "members_missing": "1"}
    nothing = pooled("product_image", "text.png", "cut.jpg")
    assert (nothing.status, nothing.reason, nothing.vector) == ("failed", "no_member_vector", None)
    film = pooled("product_video", "v.mp4", "broken.mp4")
    np.testing.assert_allclose(_vector(film), mean("video", "v.mp4"), atol=1e-6)


def test_again_means_no_worker_and_no_write(
    encoded: SimpleNamespace, release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("an encoder was asked for")

    monkeypatch.setattr(job, "encoding_function", refuse)
    version = encoded.shop.store.version(EMBEDDINGS)
    report = encode(encoded.shop.store, _run(encoded.shop, days=1), release)
    assert encoded.shop.store.version(EMBEDDINGS) == version
    assert report.total("encoded") == report.total("failed") == 0
    assert report.total("from_cache") == len(encoded.rows) - 7  # pooled contents follow from the others


def test_a_later_drop_and_a_later_version(
    new_shop: Callable[[], Any], release: Release, drawn: Callable[..., bytes]
) -> None:
    shop = new_shop()
    shop.drop("d1", media={"a.png": drawn(1)}, images={"p1": ["a.png"]}, titles={"p1": "红色连衣裙"}, queries=["a"])
    encode(shop.store, _run(shop), release)
    before = _rows(shop)
    shop.drop(
        "d2",
        media={"other-name.png": drawn(1), "b.png": drawn(2)},
        images={"p1": ["other-name.png", "b.png"], "p2": ["other-name.png"]},
        titles={"p2": "红色连衣裙"},
        queries=["a", "b"],
    )
    report = encode(shop.store, _run(shop, days=1), release)
    assert _figures(report) == {
        ("image", "from_cache", None): 1,
        ("product_text", "from_cache", None): 1,
        ("query", "from_cache", None): 1,
        ("image", "encoded", None): 1,
        ("query", "encoded", None): 1,
        ("product_image", "encoded", None): 1,
    }
    after = _rows(shop)
    assert {key: after[key] for key in before} == before
    second = dataclasses.replace(release, name="r2", clip=dataclasses.replace(release.clip, version="2"))
    report = encode(shop.store, _run(shop, days=2), second)
    rows = _rows(shop)
    assert {key: rows[key] for key in after} == after
    clip_keys = {key[:2] for key in after if key[1] != "review"}
    assert {key[:2] for key in rows if key[2] == "2"} == clip_keys
    assert report.total("encoded") == len(clip_keys)
    vectors = embedding_vectors(shop.store, release.clip.name, "2", ["image", "query"]).collect()
    assert len(vectors) == 4


def test_after_a_crash_only_the_rest_is_encoded(
    new_shop: Callable[[], Any], release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = new_shop()
    words = [f"word {i}" for i in range(40)]
    shop.drop("d1", queries=words)
    monkeypatch.setattr(job, "CHUNK", 10)
    append_once = shop.store.append_once
    commits: list[str] = []

    def crash_at_third(*arguments: Any) -> None:
        if len(commits) == 2:
            raise OSError(28, "No space left on device")
        commits.append(arguments[2])
        append_once(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(shop.store, "append_once", crash_at_third)
        with pytest.raises(OSError, match="No space left"):
            encode(shop.store, _run(shop), release)
    done = len(_rows(shop))
    assert 0 < done < len(words)
    report = encode(shop.store, _run(shop, days=1), release)
    assert report.total("from_cache") == done
    assert report.total("encoded") == len(words) - done
    assert len(_rows(shop)) == len(words)


def test_what_was_missing_is_tried_again(
    new_shop: Callable[[], Any], release: Release, drawn: Callable[..., bytes]
) -> None:
    shop = new_shop()
    shop.drop("d1", media={"a.png": drawn(1), "b.png": drawn(2), "c.png": drawn(3)}, images={"p": ["a.png", "b.png"]})
    file, kept = shop.folder / "d1" / "b.png", shop.media["b.png"]
    pooled = _sha256(",".join([_sha256(shop.media["a.png"]), _sha256(kept)])), "product_image", "1"
    file.write_bytes(shop.media["c.png"])
    encode(shop.store, _run(shop), release)
    assert _rows(shop)[_sha256(kept), "image", "1"].reason == "changed"
    assert _rows(shop)[pooled].details["members_missing"] == "1"
    first = _vector(_rows(shop)[pooled])
    file.unlink()
    encode(shop.store, _run(shop, days=1), release)
    row = _rows(shop)[_sha256(kept), "image", "1"]
    assert (row.reason, row.details["attempts"]) == ("missing", "2")
    version = shop.store.version(EMBEDDINGS)
    encode(shop.store, _run(shop, days=1), release)
    assert shop.store.version(EMBEDDINGS) == version, "the same run must not try twice"
    file.write_bytes(kept)
    report = encode(shop.store, _run(shop, days=2), release)
    assert report.total("encoded", "image") == 1
    rows = _rows(shop)
    assert rows[_sha256(kept), "image", "1"].status == "ok"
    assert rows[pooled].details["members_missing"] == "0"
    assert float(_vector(rows[pooled]) @ first) < 0.99999


def test_trying_again_has_an_end(new_shop: Callable[[], Any], release: Release, drawn: Callable[..., bytes]) -> None:
    shop = new_shop()
    shop.drop("d1", media={"a.png": drawn(1)}, images={"p": ["a.png"]})
    (shop.folder / "d1" / "a.png").unlink()
    failed = [encode(shop.store, _run(shop, days=d), release).total("failed", "image") for d in range(5)]
    assert failed == [1, 1, 1, 0, 0]


def test_wrong_dimensions_are_one_line(new_shop: Callable[[], Any], release: Release) -> None:
    shop = new_shop()
    shop.drop("d1", queries=["shoes"])
    wrong = dataclasses.replace(release, clip=dataclasses.replace(release.clip, dimensions=7, version="9"))
    with pytest.raises(EncoderUnusableError, match="declared 7 dimensions") as raised:
        encode(shop.store, _run(shop), wrong)
    assert "\n" not in str(raised.value)
    assert not _rows(shop)
