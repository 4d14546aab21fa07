"""What a text says: how pleased it is, and its opinions, each on an aspect and in a clause that can be quoted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from encoders.heads.clauses import Clause
from encoders.heads.language import WrittenIn
from encoders.heads.prototypes import ASPECTS

# A clause is clearly pleased above, clearly displeased below; between them it says neither.
CLEAR = 0.7
# Of clear clauses the rarer side's share from which on a review is mixed.
MIXED_SHARE = 0.25
# Nearer to zero than this a review without a clear clause is neutral.
NEUTRAL = 0.2


@dataclass(frozen=True)
class Opinion:
    """An aspect that a clause praises (polarity 1) or blames (-1), and how sure that is (0.5 to 1)."""

    aspect: str
    polarity: int
    confidence: float
    clause: Clause


@dataclass(frozen=True)
class Judgement:
    """What a text says.

    `sentiment` runs from -1 (displeased) to 1 (pleased): twice the probability of being pleased, less one.
    `confidence` (0.5 to 1) is the probability of the side it is on. `label` is positive, negative, mixed or neutral.
    """

    label: str
    sentiment: float
    confidence: float
    language: WrittenIn
    opinions: tuple[Opinion, ...]

    @property
    def praised(self) -> tuple[str, ...]:
        """Aspects in the order of `ASPECTS`."""
        return self._on_side(1)

    @property
    def blamed(self) -> tuple[str, ...]:
        """Aspects in the order of `ASPECTS`; one may be praised as well."""
        return self._on_side(-1)

    def _on_side(self, polarity: int) -> tuple[str, ...]:
        found = {opinion.aspect for opinion in self.opinions if opinion.polarity == polarity}
        return tuple(aspect for aspect in ASPECTS if aspect in found)


def label_of(score: float, pleased: np.ndarray) -> str:
    """The label of a text of that score (-1 to 1), whose clauses are pleased with these probabilities."""
    good, bad = int((pleased >= CLEAR).sum()), int((pleased <= 1 - CLEAR).sum())
    if min(good, bad) / max(1, good + bad) >= MIXED_SHARE:
        return "mixed"
    if abs(score) < NEUTRAL and not good + bad:
        return "neutral"
    return "positive" if score > 0 else "negative"


def opinions_in(clause: Clause, pleased: float, topics: frozenset[str]) -> list[Opinion]:
    """What a clause that is about some aspects says of them; nothing where it is not clear."""
    if 1 - CLEAR < pleased < CLEAR:
        return []
    polarity, confidence = (1, pleased) if pleased >= CLEAR else (-1, 1 - pleased)
    return [Opinion(aspect, polarity, confidence, clause) for aspect in ASPECTS if aspect in topics]
