"""Emoji concepts: what each is called in both languages, and which no training step may see."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

Concepts = dict[str, tuple[list[str], list[str]]]
UNSEEN = 0.125
"""Share of the concepts that no training step sees, in any style or by any name."""

_THINGS = (3, 4, 5, 6, 7)
"""Emojibase's numbers of the groups."""


def share(text: str) -> float:
    """A stable number in [0, 1) for a text."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big") / 2**48


def is_unseen(code: str) -> bool:
    """Whether an emoji concept is kept from training."""
    return share(code) < UNSEEN


def things(folder: Path) -> set[str]:
    """Hexcodes of animals, plants, food, places, activities and objects: what a shop may sell or show. Left out are
    faces, people, symbols and flags."""
    entries = json.loads((folder / "en" / "data.json").read_text(encoding="utf-8"))
    return {entry["hexcode"] for entry in entries if entry.get("group") in _THINGS}


def emoji_concepts(folder: Path) -> Concepts:
    """hexcode -> (Chinese names, English names); the first of each is the label, then keywords."""
    read = {
        language: {entry["hexcode"]: entry for entry in json.loads((folder / language / "data.json").read_text())}
        for language in ("zh", "en")
    }
    concepts = {}
    for code, english in read["en"].items():
        chinese = read["zh"].get(code)
        if chinese is None or "group" not in english or "label" not in chinese:
            continue
        concepts[code] = (
            [chinese["label"], *chinese.get("tags", [])],
            [english["label"], *english.get("tags", [])],
        )
    return concepts
