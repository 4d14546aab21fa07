"""An encoder's vectors of training texts, kept below a cache folder: a training that was killed resumes, and the next
one finds them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from encoders.load import Encoder

# Texts per file: what a kill can cost.
_TEXTS_AT_ONCE = 100


class KeptVectors:
    """Vectors of one encoder by text."""

    def __init__(
        self, encoder: Callable[[], Encoder], folder: Path, report: Callable[[str], object] = lambda line: None
    ) -> None:
        """`encoder` is asked for only when a text is not there yet; `report` gets a line now and then."""
        self._encoder, self._folder, self._report = encoder, folder, report
        self._known: dict[str, np.ndarray] = {}
        for file in sorted(folder.glob("*.npz")):
            with np.load(file) as kept:
                self._known.update(zip(kept["texts"].tolist(), kept["vectors"].astype(np.float32), strict=True))

    def __contains__(self, text: str) -> bool:
        return text in self._known

    def of(self, texts: Sequence[str]) -> np.ndarray:
        """(n, dimensions) float32 of unit length, in the order of `texts`."""
        # In the order of their length: the encoder pads little.
        missing = sorted({text for text in texts if text not in self._known}, key=lambda text: (len(text), text))
        for start in range(0, len(missing), _TEXTS_AT_ONCE):
            self._encode(missing[start : start + _TEXTS_AT_ONCE])
            self._report(f"encoded {min(start + _TEXTS_AT_ONCE, len(missing))} of {len(missing)} texts")
        return np.stack([self._known[text] for text in texts])

    def _encode(self, texts: list[str]) -> None:
        made = self._encoder().encode_texts(texts)
        self._folder.mkdir(parents=True, exist_ok=True)
        file = self._folder / (hashlib.sha256("\0".join(texts).encode()).hexdigest()[:24] + ".npz")
        unfinished = file.with_suffix(".part")
        with unfinished.open("wb") as stream:
            np.savez(stream, texts=np.array(texts), vectors=made.astype(np.float16))
        unfinished.rename(file)
        self._known.update(zip(texts, made, strict=True))
