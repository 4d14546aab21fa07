"""A review's text and vector -> how pleased it is, and what it praises and blames.

Three linear heads on a text encoder's vectors: pleasure of a whole review, pleasure of a clause, aspects of a clause.
The heads of each encoder are small enough to be committed: `<encoder>.safetensors` beside this file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import safe_open

from encoders.errors import EncoderChecksumError
from encoders.heads.clauses import clauses
from encoders.heads.prototypes import ASPECTS, named
from encoders.load import Encoder
from encoders.spec import EncoderSpec

HERE = Path(__file__).resolve().parent
HEADS = {"sentiment": "1", "aspects": "1"}
"""Name and version of the heads that come with the project."""

# A clause is clearly pleased above, clearly displeased below; between them it says neither.
CLEAR = 0.7
# Of clear clauses the rarer side's share from which on a review is mixed.
MIXED_SHARE = 0.25
# Nearer to zero than this a review without a clear clause is neutral.
NEUTRAL = 0.2
# What a clause must reach by its vector alone to be about an aspect that it does not name.
UNNAMED = 0.9

_CHINESE_NOT = re.compile(r"没有?(?!想到)|不(?!错|但|过|仅|管|愧|断|禁|少|同)|别(?!人|的|致)|未|毫无|并非|无法")
_ENGLISH_NOT = re.compile(
    r"\b(?:not|no|never|nothing|hardly|barely|without|neither|nor|cannot)\b|n['’]?t\b", re.IGNORECASE
)


@dataclass(frozen=True)
class Judgement:
    """What a review says.

    `sentiment` is positive, negative, mixed or neutral; `score` runs from -1 (displeased) to 1 (pleased) and is
    twice the probability of being pleased, less one. Aspects are of `ASPECTS`, in that order.
    """

    sentiment: str
    score: float
    praised: tuple[str, ...]
    blamed: tuple[str, ...]


def negated(clause: str) -> bool:
    """Whether a word that turns an opinion round stands in a clause."""
    return bool(_CHINESE_NOT.search(clause) or _ENGLISH_NOT.search(clause))


def clause_inputs(vectors: np.ndarray, turned: np.ndarray) -> np.ndarray:
    """(n, d) vectors and (n,) `negated` -> (n, 2d + 1): beside its vector a clause has it once more where it is
    negated, so that what "good" adds to the opinion can be taken back there."""
    gate = turned.astype(np.float32)[:, None]
    return np.concatenate([vectors, vectors * gate, gate], axis=1)


class Heads:
    """The heads on one encoder's vectors."""

    def __init__(self, spec: EncoderSpec, weights: Path | None = None) -> None:
        """Raises EncoderChecksumError where the heads were trained on vectors of other weights than the spec's."""
        path = weights or _weights(spec)
        with safe_open(path, framework="numpy") as file:
            trained_on = (file.metadata() or {}).get("encoder_checksum")
            if trained_on != spec.checksum:
                raise EncoderChecksumError(
                    f"{path.name} was trained on {trained_on}, {spec.key} is {spec.checksum}: train the heads anew"
                )
            self._tensors = {name: file.get_tensor(name).astype(np.float32) for name in file.keys()}  # noqa: SIM118

    def review_pleasure(self, vectors: np.ndarray) -> np.ndarray:
        """(n, d) unit vectors of whole reviews -> (n,) probability of being pleased."""
        return _probability(vectors, self._tensors, "review")[:, 0]

    def clause_pleasure(self, vectors: np.ndarray, turned: np.ndarray) -> np.ndarray:
        """(n, d) unit vectors of clauses and (n,) whether they are negated -> (n,) probability of being pleased."""
        return _probability(clause_inputs(vectors, turned), self._tensors, "clause")[:, 0]

    def aspects(self, vectors: np.ndarray) -> np.ndarray:
        """(n, d) unit vectors of clauses -> (n, aspects) probability of being about each."""
        return _probability(vectors, self._tensors, "aspects")

    def judge(self, texts: list[str], vectors: np.ndarray, encoder: Encoder) -> list[Judgement]:
        """Judge normalised texts with their (n, d) vectors. A text of one clause needs no further encoding."""
        if not texts:
            return []
        parts = [clauses(text) or [text] for text in texts]
        flat = [clause for clause_list in parts for clause in clause_list]
        several = sorted({clause for clause_list in parts if len(clause_list) > 1 for clause in clause_list})
        made = dict(zip(several, encoder.encode_texts(several), strict=True)) if several else {}
        whole = [
            vectors[row] if len(clause_list) == 1 else made[clause]
            for row, clause_list in enumerate(parts)
            for clause in clause_list
        ]
        found = np.stack(whole)
        pleased = self.clause_pleasure(found, np.array([negated(clause) for clause in flat]))
        about = self.aspects(found)
        scores = 2 * self.review_pleasure(vectors) - 1
        ends = np.cumsum([len(clause_list) for clause_list in parts])
        return [
            _judgement(
                float(score), clause_list, pleased[end - len(clause_list) : end], about[end - len(clause_list) : end]
            )
            for score, clause_list, end in zip(scores, parts, ends, strict=True)
        ]


def heads_for(spec: EncoderSpec) -> dict[str, str] | None:
    """Name and version of the heads on an encoder; None where none come with it."""
    return dict(HEADS) if spec.uri.startswith("bundled:") and _weights(spec).exists() else None


def _weights(spec: EncoderSpec) -> Path:
    return HERE / f"{spec.uri.partition(':')[2]}.safetensors"


def _probability(inputs: np.ndarray, tensors: dict[str, np.ndarray], head: str) -> np.ndarray:
    logits = inputs @ tensors[f"{head}.weight"].T + tensors[f"{head}.bias"]
    return 1 / (1 + np.exp(-np.clip(logits, -30, 30)))


def _judgement(score: float, parts: list[str], pleased: np.ndarray, about: np.ndarray) -> Judgement:
    good, bad = pleased >= CLEAR, pleased <= 1 - CLEAR
    praised: set[str] = set()
    blamed: set[str] = set()
    for clause, is_good, is_bad, probabilities in zip(parts, good, bad, about, strict=True):
        topics = named(clause) or {ASPECTS[i] for i in np.flatnonzero(probabilities >= UNNAMED)}
        if is_good:
            praised |= topics
        elif is_bad:
            blamed |= topics
    rarer = min(good.sum(), bad.sum()) / max(1, good.sum() + bad.sum())
    if rarer >= MIXED_SHARE:
        sentiment = "mixed"
    elif abs(score) < NEUTRAL and not (good.any() or bad.any()):
        sentiment = "neutral"
    else:
        sentiment = "positive" if score > 0 else "negative"
    return Judgement(sentiment, score, _in_order(praised), _in_order(blamed))


def _in_order(aspects: set[str]) -> tuple[str, ...]:
    return tuple(aspect for aspect in ASPECTS if aspect in aspects)
