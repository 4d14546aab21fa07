"""A review cut into clauses: about as much as one opinion needs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

# Sentence ends and commas of both scripts; a full stop or comma only before a space or beside Chinese (which NFKC
# gives ASCII commas), so that "4.5" holds. Chinese is often written with spaces in place of punctuation.
_BREAKS = re.compile(
    r"[，。！？；：…~～、\n]+|[!?;:]+|[.,]+(?=[\s\u4e00-\u9fff]|$)|(?<=[\u4e00-\u9fff])[.,]+|\s[-–—]+\s"
    r"|(?<=[\u4e00-\u9fff])\s+(?=[\u4e00-\u9fff])"
)
# What turns an opinion round begins a clause of its own. 就是 and 只是 only where a complaint follows praise: there
# they come after a break anyway, so they are not listed.
_TURNS = re.compile(
    r"(?=但是|不过|可是|然而|但(?!凡|愿))|\b(?=(?:but|however|although|though|yet|except)\b)", re.IGNORECASE
)
_LEADING = re.compile(
    r"\s*(?:(?:and|also|but|however|although|though|yet)\b|但是|不过|可是|然而|而且|但)?[\s,，]*", re.IGNORECASE
)
_WORDLESS = re.compile(r"^[\W_\d]*$")


@dataclass(frozen=True)
class Clause:
    """A part of a text, `text[start:end]`."""

    text: str
    start: int
    end: int


def clauses(text: str, at_most: int = 64) -> list[Clause]:
    """Clauses of a normalised text in their order, without the punctuation between them; a text of one opinion is
    one clause. Of a longer text the first `at_most` are given."""
    found: list[Clause] = []
    for start, end in _pieces(text):
        start += len(_leading(text[start:end]))
        words = text[start:end].rstrip()
        if not _WORDLESS.match(words):
            found.append(Clause(words, start, start + len(words)))
        if len(found) == at_most:
            break
    return found


def _leading(piece: str) -> str:
    """What a clause begins with and does not need: spaces, and a word that joins it to the clause before."""
    match = _LEADING.match(piece)
    return match[0] if match else ""


def _pieces(text: str) -> Iterator[tuple[int, int]]:
    """Stretches between breaks, cut where an opinion is turned round."""
    start = 0
    for stop, after in [*(match.span() for match in _BREAKS.finditer(text)), (len(text), len(text))]:
        turns = [start + turn.start() for turn in _TURNS.finditer(text[start:stop]) if turn.start()]
        yield from zip([start, *turns], [*turns, stop], strict=True)
        start = after
