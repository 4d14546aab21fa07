"""What the student is to say: e5's own vectors, kept below a cache folder, so that a run that was killed resumes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from encoders.load import Encoder

# Texts per file: what a kill can cost.
_SHARD = 1000


def vectors(
    encoder: Encoder, texts: Sequence[str], cache: Path, report: Callable[[str], None] = lambda line: None
) -> np.ndarray:
    """(n, dimensions) float32 of unit length, in the order of `texts`."""
    folder = cache / f"{encoder.spec.name}-{encoder.spec.checksum.removeprefix('sha256:')[:12]}"
    folder.mkdir(parents=True, exist_ok=True)
    # Shards of texts of one length: the encoder pads little.
    order = sorted(range(len(texts)), key=lambda place: (len(texts[place]), texts[place]))
    found = np.zeros((len(texts), encoder.spec.dimensions), dtype=np.float32)
    for start in range(0, len(order), _SHARD):
        rows = order[start : start + _SHARD]
        found[rows] = _shard(encoder, [texts[row] for row in rows], folder)
        report(f"teacher: {min(start + _SHARD, len(order))} of {len(order)} texts")
    return found


def _shard(encoder: Encoder, texts: list[str], folder: Path) -> np.ndarray:
    file = folder / (hashlib.sha256("\0".join(texts).encode()).hexdigest()[:24] + ".npy")
    if file.exists():
        return np.load(file).astype(np.float32)
    made = encoder.encode_texts(texts)
    unfinished = file.with_suffix(".part.npy")
    np.save(unfinished, made.astype(np.float16))
    unfinished.rename(file)
    return made
