"""The fused recipe and its rows, without Spark; the way through the tables is in test_interests."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pyarrow as pa
import pytest

from pipelines.features.fused_rows import CLIP_SHARES, PUBLISHED, REVIEW, SOURCES, fuse, fused_rows

CLIP, REVIEWS = 4, 3
AS_OF = dt.datetime(2026, 3, 9, tzinfo=dt.UTC)


def interests(seed: int = 0, n: int = 1) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    sizes = [CLIP] * len(CLIP_SHARES) + [REVIEWS]
    return [random.normal(size=(n, size)).astype(np.float32) for size in sizes]


def only(*names: str) -> list[np.ndarray]:
    return [np.array([name in names]) for name in SOURCES]


def unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)


def test_all_modalities_share_the_vector_equally_between_both_spaces() -> None:
    given = interests()
    fused, says = fuse(given, only(*SOURCES))
    parts = [s * unit(v[0]) for s, v in zip(CLIP_SHARES.values(), given, strict=False)]
    mixed = unit(np.sum(parts, axis=0))
    expected = np.concatenate([mixed, unit(given[REVIEW][0])]) / np.sqrt(2)
    np.testing.assert_allclose(fused[0], expected, atol=1e-6)
    assert says.tolist() == [True]


@pytest.mark.parametrize("name", SOURCES)
def test_a_single_modality_fills_its_block_and_leaves_the_other_empty(name: str) -> None:
    given = interests()
    fused, says = fuse(given, only(name))
    alone = unit(given[SOURCES.index(name)][0])
    expected = (
        np.concatenate([np.zeros(CLIP), alone]) if name == "review" else np.concatenate([alone, np.zeros(REVIEWS)])
    )
    np.testing.assert_allclose(fused[0], expected, atol=1e-6)
    assert says.all()


def test_missing_interests_do_not_shrink_those_that_are_there() -> None:
    given = interests()
    fused, _ = fuse(given, only("product_image", "query"))
    mixed = unit(CLIP_SHARES["product_image"] * unit(given[0][0]) + CLIP_SHARES["query"] * unit(given[3][0]))
    np.testing.assert_allclose(fused[0, :CLIP], mixed, atol=1e-6)


def test_nothing_observed_says_nothing() -> None:
    fused, says = fuse(interests(), only())
    assert not says.any()
    assert not fused.any()


def row(day: int, source: int, vector: np.ndarray | None, *, base: bool = False, user: str = "u") -> dict[str, object]:
    moment = dt.datetime(2026, 3, 1, tzinfo=dt.UTC) + dt.timedelta(days=day)
    return {"user_id": user, "purpose": "personalisation", "day": (moment - dt.timedelta(days=1)).date(),
            "source": source, "created_at": moment, "is_base": base,
            "vector": None if vector is None else vector.tolist()}  # fmt: skip


SCHEMA = pa.schema(
    [("user_id", pa.string()), ("purpose", pa.string()), ("day", pa.date32()), ("source", pa.int32()),
     ("created_at", pa.timestamp("us", tz="UTC")), ("is_base", pa.bool_()), ("vector", pa.list_(pa.float32()))]
)  # fmt: skip


def made(*rows: dict[str, object], as_of: dt.datetime | None = AS_OF) -> list[dict[str, object]]:
    return fused_rows(pa.Table.from_pylist(list(rows), SCHEMA), (CLIP, REVIEWS), as_of).to_pylist()


def test_inputs_hold_until_they_change_and_end_with_their_user() -> None:
    image, review = interests()[0][0], interests()[REVIEW][0]
    rows = made(row(0, 0, image, base=True), row(2, REVIEW, review), row(3, REVIEW, review, user="v"))
    assert [r["modalities_observed"] for r in rows] == [["product_image", "review"], ["review"]]
    assert [r["created_at"] for r in rows] == [AS_OF, AS_OF]


def test_an_interest_that_is_gone_leaves_a_null_vector() -> None:
    rows = made(row(1, 0, interests()[0][0]), row(2, 0, None))
    assert rows[1]["vector"] is None
    assert rows[1]["modalities_observed"] == []


def test_only_what_differs_from_the_row_in_force_is_written() -> None:
    image = interests()[0][0]
    first = made(row(1, 0, image))
    standing = np.array(first[0]["vector"], dtype=np.float32)
    assert made(row(1, 0, image), row(1, PUBLISHED, standing)) == []
    corrected = made(row(1, 0, image), row(1, PUBLISHED, -standing), as_of=None)
    said = corrected[0]["event_timestamp"]
    assert isinstance(said, dt.datetime)
    assert corrected[0]["created_at"] == said + dt.timedelta(microseconds=1)
