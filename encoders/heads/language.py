"""In which of the two languages that the heads were taught a text is written, by its letters alone."""

from __future__ import annotations

import re
from typing import Literal

WrittenIn = Literal["zh", "en", "other"]

_HAN = re.compile(r"[\u4e00-\u9fff]")
_LATIN_WORDS = re.compile(r"[a-z]+", re.IGNORECASE)
_OTHER = re.compile(r"[\u0400-\u04ff\u0590-\u06ff\u0900-\u097f\u0e00-\u0e7f\u3040-\u30ff\uac00-\ud7af]")
# A Chinese text may hold many names in Latin letters.
_CHINESE_SHARE = 0.3


def written_in(text: str) -> WrittenIn:
    """zh where Han characters are a good share of its words, en for other Latin text (which may be French as well),
    other for scripts that the heads never saw and for texts without words."""
    han, latin, other = (len(pattern.findall(text)) for pattern in (_HAN, _LATIN_WORDS, _OTHER))
    if other > han + latin:
        return "other"
    if han and han >= _CHINESE_SHARE * (han + latin):
        return "zh"
    return "en" if latin else "other"
