"""Text as it is hashed and encoded: one form, whatever the source did to it."""

from __future__ import annotations

import html
import re
import unicodedata

from encoders.errors import ContentError

# A tag begins with a letter, "/" or "!" right after "<", so "a < b" and "<3" survive.
_TAG = re.compile(r"<(?:/?[A-Za-z][^<>]*|!--.*?--|![^<>]*)>", re.DOTALL)
_HIDDEN = re.compile(r"<(script|style)\b[^<>]*>.*?</\1\s*>", re.DOTALL | re.IGNORECASE)
_SPACES = re.compile(r"\s+")
# Zero-width and bidirectional marks are format characters (Cf); the joiner holds emoji together.
_ZERO_WIDTH_JOINER = "\u200d"


def normalise_text(text: str) -> str:
    """Return `text` without markup, control characters and needless spaces, in NFKC.

    Entities are resolved before and after tags are removed, because shops often store
    `&lt;br /&gt;`. A function of its own output: applying it twice changes nothing more for
    ordinary text.

    Raises:
        ContentError: "no_text" if nothing but spaces, marks or markup was there.
    """
    unescaped = html.unescape(text)
    without_tags = _TAG.sub(" ", _HIDDEN.sub(" ", unescaped))
    composed = unicodedata.normalize("NFKC", html.unescape(without_tags))
    printable = "".join(character for character in composed if _is_kept(character))
    collapsed = _SPACES.sub(" ", printable).strip()
    if not any(unicodedata.category(character)[0] not in "ZCM" for character in collapsed):
        raise ContentError("no_text")
    return collapsed


def _is_kept(character: str) -> bool:
    if character.isspace() or character == _ZERO_WIDTH_JOINER:
        return True
    return unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Cn", "Co")
