"""What the student is taught on: reviews whole and in clauses, English sentences, and its vocabulary's own pieces."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from encoders.e5_weights import read_vocabulary
from encoders.heads.clauses import clauses
from encoders.heads.corpora import Labelled, chinese_reviews, english_sentences


@dataclass(frozen=True)
class Corpus:
    """`labelled` whole texts of both languages, held-out ones included; `clauses` of Chinese training reviews."""

    labelled: list[Labelled]
    clauses: list[str]

    @property
    def training_texts(self) -> list[str]:
        """Whole texts that are not held out, then clauses."""
        return [row.text for row in self.labelled if not row.held_out] + self.clauses


def corpus(sources: Path, reviews: Path, clause_count: int, seed: int) -> Corpus:
    """Clauses that are also whole texts, or that a held-out review shares, are left out."""
    chinese, english = chinese_reviews(reviews), english_sentences(sources)
    held_out = {clause for row in chinese if row.held_out for clause in clauses(row.text)}
    known = {row.text for row in chinese + english}
    found = {clause for row in chinese if not row.held_out for clause in clauses(row.text) if 3 <= len(clause) <= 60}
    distinct = sorted(found - held_out - known)
    random.Random(seed).shuffle(distinct)
    return Corpus(chinese + english, distinct[:clause_count])


def piece_texts(package_file: Path, places: np.ndarray) -> list[str]:
    """The vocabulary's pieces as texts, what they mean by themselves; an empty piece is a full stop."""
    pieces, _, _ = read_vocabulary(package_file)
    return [pieces[place].replace("▁", " ").strip() or "." for place in places]
