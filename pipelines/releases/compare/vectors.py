"""The vectors of one encoder for all that is compared: those the home has already, and the rest encoded anew."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from encoders.spec import EncoderSpec
from pipelines.encoding.apart import Encoded, Pace, encode_apart
from pipelines.encoding.worker import unit_rows
from pipelines.errors import EncoderMismatchError
from pipelines.point_in_time.published import Published
from pipelines.releases.compare.shop import Shop, text_hash
from pipelines.settings import Settings
from pipelines.tables.aggregates import EMBEDDINGS

Vectors: TypeAlias = npt.NDArray[np.float32]
Encoding = Callable[[EncoderSpec, Sequence[dict[str, Any]]], Encoded]
# Contents that are encoded even where the home has their vectors: to take the time, and to see that they are the same.
SAMPLE = {"image": 64, "query": 128, "product_text": 128, "review": 32}
# What an encoder gives between batches of other size and company (`encoders.load.Encoder`).
_SAME = 0.998


@dataclass(frozen=True)
class Space:
    """An encoder's vectors, float32 of unit length, by modality and content hash.

    `reused` counts the vectors that came from the home; `failed` the contents without one.
    """

    spec: EncoderSpec
    vectors: Mapping[tuple[str, str], Vectors]
    paces: tuple[Pace, ...]
    reused: int
    encoded: int
    failed: int

    def has(self, modality: str, content: str) -> bool:
        return (modality, content) in self.vectors

    def matrix(self, modality: str, contents: Iterable[str]) -> Vectors:
        """(contents, dimensions); raises KeyError for one without a vector."""
        rows = [self.vectors[modality, content] for content in contents]
        return np.stack(rows) if rows else np.zeros((0, self.spec.dimensions), np.float32)


def encoding_apart(settings: Settings) -> Encoding:
    """Encodes in a process of its own, with a thread for each core."""
    return lambda spec, rows: encode_apart(spec, rows, threads=settings.cores, cache_dir=settings.cache_dir)


def wanted_contents(shop: Shop, part: str) -> list[dict[str, Any]]:
    """Every content that a comparison needs, each once: of pictures and texts, or of texts alone."""
    rows: dict[tuple[str, str], dict[str, Any]] = {}

    def want(modality: str, content: str, text: str | None, paths: Sequence[str] | None = None) -> None:
        rows[modality, content] = {"content_hash": content, "modality": modality, "text": text, "paths": paths}

    for product in shop.products:
        want("product_text", text_hash(product.text), product.text)
        if part == "clip":
            want("query", text_hash(product.title), product.title)
            want("query", text_hash(product.category), product.category or "-")
    if part == "clip":
        for search in shop.searches:
            want("query", text_hash(search.query), search.query)
        for picture in sorted({picture for pictures in shop.picture_sets.values() for picture in pictures}):
            want("image", picture, None, shop.places.get(picture, ()))
    else:
        for review in shop.reviews:
            want("review", review.content_hash, review.text)
    return list(rows.values())


def space_of(
    spec: EncoderSpec, contents: Sequence[dict[str, Any]], shop: Shop, published: Published, encoding: Encoding
) -> Space:
    """All vectors of an encoder version; `product_image` holds those of whole products.

    Raises EncoderUnusableError, and EncoderMismatchError where the home's vectors of this name and version are not
    what the encoder gives.
    """
    known = _known(spec, published, {row["modality"] for row in contents})
    fresh = [row for row in contents if (row["modality"], row["content_hash"]) not in known]
    encoded = encoding(spec, [*fresh, *_sample(contents, fresh)])
    rows = encoded.rows.filter(pc.equal(encoded.rows["status"], "ok")).to_pylist()
    made = {(r["modality"], r["content_hash"]): np.frombuffer(r["vector"], "<f4") for r in rows}
    _require_same(spec, known, made)
    wanted = {(row["modality"], row["content_hash"]) for row in contents}
    vectors = {key: known[key] if key in known else made[key] for key in wanted if key in known or key in made}
    reused = sum(key in known for key in wanted)
    return Space(
        spec=spec,
        vectors=vectors | _pooled(shop, vectors),
        paces=encoded.paces,
        reused=reused,
        encoded=len(fresh),
        failed=len(wanted) - len(vectors),
    )


def _known(spec: EncoderSpec, published: Published, modalities: set[str]) -> dict[tuple[str, str], Vectors]:
    if not published.exists(EMBEDDINGS):
        return {}
    found: dict[tuple[str, str], Vectors] = {}
    for modality in modalities:
        of_encoder = {"encoder": spec.name, "encoder_version": spec.version, "modality": modality}
        rows = published.rows(EMBEDDINGS, ["content_hash", "vector"], **of_encoder)
        rows = rows.filter(pc.is_valid(rows["vector"]))
        for content, vector in zip(rows["content_hash"].to_pylist(), rows["vector"].to_pylist(), strict=True):
            found[modality, content] = np.frombuffer(vector, "<f4")
    return found


def _sample(contents: Sequence[dict[str, Any]], fresh: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """What is encoded besides what is new, up to `SAMPLE` of each modality."""
    new = {(row["modality"], row["content_hash"]) for row in fresh}
    counts = {name: sum(modality == name for modality, _ in new) for name in SAMPLE}
    chosen = []
    for row in contents:
        if (row["modality"], row["content_hash"]) not in new and counts[row["modality"]] < SAMPLE[row["modality"]]:
            counts[row["modality"]] += 1
            chosen.append(row)
    return chosen


def _require_same(
    spec: EncoderSpec, known: Mapping[tuple[str, str], Vectors], made: Mapping[tuple[str, str], Vectors]
) -> None:
    both = sorted(known.keys() & made.keys())
    if not both:
        return
    if any(known[key].shape != made[key].shape for key in both):
        raise EncoderMismatchError(f"encoder {spec.key}: the home's vectors of it have other dimensions; name another")
    likeness = [float(known[key] @ made[key]) for key in both]
    if np.median(likeness) < _SAME:
        raise EncoderMismatchError(
            f"encoder {spec.key}: the home's vectors of that version are not what it gives now (cosine "
            f"{np.median(likeness):.3f} in the middle); its weights were changed, so give it a version of its own"
        )


def _pooled(shop: Shop, vectors: Mapping[tuple[str, str], Vectors]) -> dict[tuple[str, str], Vectors]:
    """As `encoding/pooling.py`: the direction of the mean of the pictures that have a vector."""
    found = {}
    for content, members in shop.picture_sets.items():
        parts = [vectors["image", member] for member in members if ("image", member) in vectors]
        if parts:
            pooled = unit_rows(np.sum(np.asarray(parts, np.float64), axis=0, keepdims=True))[0]
            if np.isfinite(pooled).all():
                found["product_image", content] = pooled
    return found
