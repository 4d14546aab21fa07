"""Vectors of the catalogue's captions, in the space of the pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from encoders.load import load
from encoders.spec import EncoderSpec
from pipelines.settings import Settings
from pipelines.tags.about import Captions


def caption_vectors(
    clip: EncoderSpec, captions: Mapping[str, Sequence[tuple[int, str]]], settings: Settings
) -> dict[str, Captions]:
    """By facet or topic, as `captions_of` names them. The encoder is loaded for it, once, in this process."""
    texts = sorted({text for of in captions.values() for _, text in of})
    if not texts:
        return {}
    vectors = load(clip, threads=settings.cores, cache_dir=settings.cache_dir).encode_texts(texts, role="query")
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    place = {text: number for number, text in enumerate(texts)}
    return {
        name: Captions(vectors[[place[text] for _, text in of]], np.array([value for value, _ in of], dtype=np.int64))
        for name, of in captions.items()
    }
