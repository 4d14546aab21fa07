"""One home over its days: a run that is cut off, the rest of it, a later drop, a later encoder version.

Each day starts from the home the day before left, and is lived once for the tests that look at it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from encoders.spec import EncoderSpec
from pipelines.encoding import job
from pipelines.encoding.job import encode
from pipelines.encoding.vectors import embedding_vectors
from pipelines.errors import EncoderUnusableError
from pipelines.governance.runs import StepReport
from pipelines.releases.manifest import Release
from tests.encoding.drawn import picture
from tests.encoding.silver_shop import Embeddings, Shop, figures, sha256

WORDS = [f"word {i}" for i in range(40)]


@dataclasses.dataclass(frozen=True)
class Day:
    """The home at a day's end: its rows, and what the day's run said."""

    shop: Shop
    rows: Embeddings
    report: StepReport


@pytest.fixture(scope="module")
def cut_off(new_shop: Callable[[], Shop], release: Release) -> Shop:
    """The disk is full at the third commit."""
    shop = new_shop()
    shop.drop("d1", media={"a.png": picture(1)}, images={"p1": ["a.png"]}, titles={"p1": "红色连衣裙"}, queries=WORDS)
    append_once = shop.store.append_once
    commits: list[str] = []

    def crash_at_third(*arguments: Any) -> None:
        if len(commits) == 2:
            raise OSError(28, "No space left on device")
        commits.append(arguments[2])
        append_once(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(job, "CHUNK", 10)
        patch.setattr(shop.store, "append_once", crash_at_third)
        with pytest.raises(OSError, match="No space left"):
            encode(shop.store, shop.run(), release)
    return shop


@pytest.fixture(scope="module")
def unfinished(cut_off: Shop) -> Embeddings:
    return cut_off.embeddings()


@pytest.fixture(scope="module")
def first(cut_off: Shop, unfinished: Embeddings, release: Release) -> Day:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(job, "CHUNK", 10)
        report = encode(cut_off.store, cut_off.run(days=1), release)
    return Day(cut_off, cut_off.embeddings(), report)


@pytest.fixture(scope="module")
def second(first: Day, release: Release) -> Day:
    """The picture and the title of the first day under other names, and something new."""
    shop = first.shop
    shop.drop(
        "d2",
        media={"other-name.png": picture(1), "b.png": picture(2)},
        images={"p1": ["other-name.png", "b.png"], "p2": ["other-name.png"]},
        titles={"p2": "红色连衣裙"},
        queries=[WORDS[0], "a word unheard of"],
    )
    report = encode(shop.store, shop.run(days=2), release)
    return Day(shop, shop.embeddings(), report)


def with_clip(release: Release, **changes: Any) -> Release:
    clip: EncoderSpec = dataclasses.replace(release.clip, **changes)
    return dataclasses.replace(release, name="r2", clip=clip)


def test_after_a_crash_only_the_rest_is_encoded(unfinished: Embeddings, first: Day) -> None:
    everything = {(sha256(word), "query", "1") for word in WORDS} | {
        (sha256(first.shop.media["a.png"]), "image", "1"),
        (sha256(sha256(first.shop.media["a.png"])), "product_image", "1"),
        (sha256("红色连衣裙"), "product_text", "1"),
    }
    assert 0 < len(unfinished) < len(everything) - 1
    assert first.report.total("from_cache") == len(unfinished)
    assert first.report.total("encoded") == len(everything) - len(unfinished)
    assert {key: first.rows[key] for key in unfinished} == unfinished
    assert set(first.rows) == everything


def test_of_a_later_drop_only_what_is_new_is_encoded(first: Day, second: Day) -> None:
    assert figures(second.report) == {
        ("image", "from_cache", None): 1,
        ("product_text", "from_cache", None): 1,
        ("query", "from_cache", None): 1,
        ("image", "encoded", None): 1,
        ("query", "encoded", None): 1,
        ("product_image", "encoded", None): 1,
        ("text_judgements", "rows_written", None): 0,
    }
    assert {key: second.rows[key] for key in first.rows} == first.rows


def test_an_encoder_of_wrong_dimensions_is_one_line_and_writes_nothing(second: Day, release: Release) -> None:
    shop = second.shop
    with pytest.raises(EncoderUnusableError, match="declared 7 dimensions") as raised:
        encode(shop.store, shop.run(days=3), with_clip(release, dimensions=7, version="9"))
    assert "\n" not in str(raised.value)
    assert shop.embeddings() == second.rows


def test_a_later_version_encodes_everything_anew_beside_the_old(second: Day, release: Release) -> None:
    shop = second.shop
    report = encode(shop.store, shop.run(days=3), with_clip(release, version="2"))
    rows = shop.embeddings()
    assert {key: rows[key] for key in second.rows} == second.rows
    contents = {key[:2] for key in second.rows}
    assert {key[:2] for key in rows if key[2] == "2"} == contents
    assert report.total("encoded") == len(contents)
    vectors = embedding_vectors(shop.store, release.clip.name, "2", ["image", "query"]).collect()
    assert len(vectors) == 2 + len(WORDS) + 1
