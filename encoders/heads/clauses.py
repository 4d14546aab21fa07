"""A review cut into clauses: about as much as one opinion needs."""

from __future__ import annotations

import re

# Sentence ends and commas of both scripts; a full stop or comma only before a space or beside Chinese (which NFKC
# gives ASCII commas), so that "4.5" holds.
_BREAKS = re.compile(
    r"[，。！？；：…~～、\n]+|[!?;:]+|[.,]+(?=[\s\u4e00-\u9fff]|$)|(?<=[\u4e00-\u9fff])[.,]+|\s[-–—]+\s"
)
# What turns an opinion round begins a clause of its own. 就是 and 只是 only where a complaint follows praise: there
# they come after a break anyway, so they are not listed.
_TURNS = re.compile(
    r"(?=但是|不过|可是|然而|但(?!凡|愿))|\b(?=(?:but|however|although|though|yet|except)\b)", re.IGNORECASE
)
# Chinese is often written with spaces in place of punctuation.
_CHINESE_SPACE = re.compile(r"(?<=[\u4e00-\u9fff])\s+(?=[\u4e00-\u9fff])")
_LEADING = re.compile(
    r"^(?:(?:and|also|but|however|although|though|yet)\b|但是|不过|可是|然而|而且|但)[\s,，]*", re.IGNORECASE
)
_WORDLESS = re.compile(r"^[\W_\d]*$")


def clauses(text: str, at_most: int = 64) -> list[str]:
    """Clauses of a normalised text in their order, without the punctuation between them; a text of one opinion is
    one clause. Of a longer text the first `at_most` are given."""
    found: list[str] = []
    for piece in _BREAKS.split(_CHINESE_SPACE.sub("，", text)):
        for part in _TURNS.split(piece):
            clause = _LEADING.sub("", part.strip()).strip()
            if not _WORDLESS.match(clause):
                found.append(clause)
            if len(found) == at_most:
                return found
    return found
