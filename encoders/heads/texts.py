"""The texts that the static encoder and the heads are trained on, and those that only measure them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

from encoders.heads.clauses import clauses
from encoders.heads.corpora import Labelled, chinese_reviews, english_sentences

# Characters: a slow encoder takes as long for one text of more as for several others.
_MODERATE = 220


@dataclass(frozen=True)
class Corpus:
    """`whole` reviews and sentences of both languages, held-out ones included; `clauses` of Chinese training reviews,
    with the label of the review they stand in. Both in an order by hash, so that any first part is a fair sample."""

    whole: list[Labelled]
    clauses: list[Labelled]

    @property
    def training(self) -> list[Labelled]:
        """Whole texts that are not held out, then clauses."""
        return [row for row in self.whole if not row.held_out] + self.clauses

    def asked(self, share: float) -> tuple[list[Labelled], list[Labelled]]:
        """(training, held out): the texts that a slow encoder is asked of, of each kind the first `share`."""
        training, held_out = [], []
        for language in ("zh", "en"):
            mine = [row for row in self.whole if row.language == language]
            training += _first([row for row in mine if not row.held_out], share)
            held_out += _first([row for row in mine if row.held_out], share)
        return training + _first(self.clauses, share), held_out

    def unasked(self, share: float, count: int) -> list[Labelled]:
        """Of each language the first `count` labelled training texts of moderate length beyond the first `share`."""
        found = []
        for language in ("zh", "en"):
            mine = [row for row in self.whole if row.language == language and not row.held_out]
            rest = mine[round(len(mine) * share) :]
            found += [row for row in rest if row.label is not None and len(row.text) <= _MODERATE][:count]
        return found


def corpus(sources: Path, reviews: Path, clause_count: int) -> Corpus:
    """Clauses that are also whole texts, or that a held-out review shares, are left out."""
    whole = _by_hash(chinese_reviews(reviews, sources) + english_sentences(sources))
    taken = {row.text for row in whole}
    taken |= {clause.text for row in whole if row.held_out and row.language == "zh" for clause in clauses(row.text)}
    found = {}
    for row in whole:
        if row.language == "zh" and not row.held_out:
            for clause in (part.text for part in clauses(row.text)):
                if 3 <= len(clause) <= 60 and clause not in taken:
                    found[clause] = replace(row, text=clause, source="clause")
    return Corpus(whole, _by_hash(list(found.values()))[:clause_count])


def _by_hash(rows: list[Labelled]) -> list[Labelled]:
    return sorted(rows, key=lambda row: hashlib.sha256(row.text.encode()).digest())


def _first(rows: list[Labelled], share: float) -> list[Labelled]:
    return rows[: round(len(rows) * share)]
