"""Which short runs of words a text has, as places in a table of fixed size.

A text's vector says what it is about better than how pleased it is; single turns of phrase say that well. Hashed, they
need no vocabulary: a head keeps a weight for each place.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from zlib import crc32

import numpy as np

# Han characters are words enough; so are words of Latin letters, and marks that carry feeling.
_WORDS = re.compile(r"[\u4e00-\u9fff]|[a-z0-9']+|[!?]")
LONGEST = 3


def ngram_places(text: str, size: int) -> np.ndarray:
    """Sorted places in [0, size), each once, of the runs of up to `LONGEST` words of a normalised text."""
    words = [word.encode() for word in _WORDS.findall(text.lower())]
    runs = {
        b" ".join(words[start : start + length])
        for length in range(1, LONGEST + 1)
        for start in range(len(words) - length + 1)
    }
    return np.unique(np.array([crc32(run) % size for run in runs], dtype=np.int64))


def summed_weights(texts: Sequence[str], weights: np.ndarray) -> np.ndarray:
    """(n,) sums of the weights at each text's places, divided by the root of how many there are."""
    places = (ngram_places(text, len(weights)) for text in texts)
    return np.array([weights[at].sum() / max(1.0, len(at)) ** 0.5 for at in places], dtype=np.float32)
