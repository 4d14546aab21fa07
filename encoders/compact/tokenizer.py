"""Builds the compact tokenizer: the XLM-R unigram vocabulary cut down to Chinese and English.

Kept: every piece of Chinese characters and their punctuation, every printable ASCII piece of at
most two characters, and the longer lower-case ASCII pieces that the training texts use.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers

from encoders.e5_weights import read_vocabulary

PAD, UNKNOWN = "<pad>", "<unk>"
_CHINESE = re.compile(r"▁?[\u4e00-\u9fff\u3000-\u303f\uff00-\uffef]+")
_ASCII = re.compile(r"▁?[\x21-\x7e]+|▁")


def build(package_file: Path, texts: Iterable[str], ascii_pieces: int) -> Tokenizer:
    """Tokenizer with pad 0, unknown 1, then the kept pieces in XLM-R's order of frequency."""
    pieces, scores, special = read_vocabulary(package_file)
    candidates = [
        (piece, float(score))
        for index, (piece, score) in enumerate(zip(pieces, scores, strict=True))
        if index not in special.values()
        and piece == piece.lower()
        and (_CHINESE.fullmatch(piece) or _ASCII.fullmatch(piece))
    ]
    wide = _assemble(candidates)
    used: Counter[int] = Counter()
    for encoding in wide.encode_batch(list(texts)):
        used.update(encoding.ids)
    frequent = [wide.id_to_token(index) for index, _ in used.most_common() if _is_long_ascii(wide.id_to_token(index))]
    keep = set(frequent[:ascii_pieces])
    return _assemble([item for item in candidates if not _is_long_ascii(item[0]) or item[0] in keep])


def _is_long_ascii(piece: str | None) -> bool:
    return piece is not None and bool(_ASCII.fullmatch(piece)) and len(piece.lstrip("▁")) > 2


def _assemble(vocabulary: list[tuple[str, float]]) -> Tokenizer:
    tokenizer = Tokenizer(models.Unigram([(PAD, 0.0), (UNKNOWN, 0.0), *vocabulary], unk_id=1, byte_fallback=False))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    tokenizer.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="always")
    tokenizer.add_special_tokens([PAD, UNKNOWN])
    return tokenizer
