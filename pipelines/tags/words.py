"""Which values a text names, in Chinese or English."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from functools import cached_property

# A word of letters that are written apart from each other's words is matched whole; Chinese is not written apart.
_APART = re.compile(r"[\w' -]+", re.ASCII)


class Vocabulary:
    """Words by the value that they name. Of those that overlap the longest counts: "navy blue" is not blue."""

    def __init__(self, words: Mapping[str, Sequence[str]]) -> None:
        self._value_of = {_plain(word): value for value, of in words.items() for word in of if word.strip()}

    @cached_property
    def _pattern(self) -> re.Pattern[str] | None:
        longest_first = sorted(self._value_of, key=lambda word: (-len(word), word))
        parts = [rf"\b{re.escape(w)}\b" if _APART.fullmatch(w) else re.escape(w) for w in longest_first]
        return re.compile("|".join(parts)) if parts else None

    def named_in(self, text: str) -> list[str]:
        """The values named in a text, each once, in order."""
        if not text or self._pattern is None:
            return []
        return list(dict.fromkeys(self._value_of[found] for found in self._pattern.findall(_plain(text))))


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()
