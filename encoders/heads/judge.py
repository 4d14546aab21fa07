"""A text and its vector -> how pleased it is, and what it praises and blames.

Three linear heads on a text encoder's vectors: pleasure of a whole text, pleasure of a clause, aspects of a clause.
Beside the first stands one on the text's hashed n-grams; both together say how pleased a text is.
The heads of each bundled encoder are small enough to be committed: `<encoder>.safetensors` beside this file.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from safetensors import safe_open

from encoders.errors import EncoderChecksumError
from encoders.heads.clauses import Clause, clauses
from encoders.heads.judgement import Judgement, Opinion, label_of, opinions_in
from encoders.heads.language import written_in
from encoders.heads.ngrams import summed_weights
from encoders.heads.prototypes import ASPECTS, named
from encoders.heads.spec import HeadsSpec, resolve_heads
from encoders.load import Encoder

# What a clause must reach by its vector alone to be about an aspect that it does not name.
UNNAMED = 0.9

_CHINESE_NOT = re.compile(r"没有?(?!想到)|不(?!错|但|过|仅|管|愧|断|禁|少|同)|别(?!人|的|致)|未|毫无|并非|无法")
_ENGLISH_NOT = re.compile(
    r"\b(?:not|no|never|nothing|hardly|barely|without|neither|nor|cannot)\b|n['’]?t\b", re.IGNORECASE
)


def negated(clause: str) -> bool:
    """Whether a word that turns an opinion round stands in a clause."""
    return bool(_CHINESE_NOT.search(clause) or _ENGLISH_NOT.search(clause))


def clause_inputs(vectors: np.ndarray, turned: np.ndarray) -> np.ndarray:
    """(n, d) vectors and (n,) `negated` -> (n, 2d + 1): beside its vector a clause has it once more where it is
    negated, so that what "good" adds to the opinion can be taken back there."""
    gate = turned.astype(np.float32)[:, None]
    return np.concatenate([vectors, vectors * gate, gate], axis=1)


def parts_of(text: str) -> list[Clause]:
    """The clauses of a normalised text that are judged: the whole of it where it is one clause, or has none."""
    found = clauses(text)
    return found if len(found) > 1 else [found[0] if found else Clause(text, 0, len(text))]


class Heads:
    """The heads on one encoder's vectors."""

    def __init__(self, spec: HeadsSpec) -> None:
        """Raises EncoderFilesMissingError, and EncoderChecksumError where the file is not what the spec says."""
        found = resolve_heads(spec.uri)
        if found.checksum != spec.checksum:
            raise EncoderChecksumError(
                f"heads {spec.key}: {spec.path.name} has the checksum {found.checksum}, expected {spec.checksum}: "
                "restore the file"
            )
        with safe_open(spec.path, framework="numpy") as file:
            self._tensors = {name: file.get_tensor(name).astype(np.float32) for name in file.keys()}  # noqa: SIM118

    def review_pleasure(self, vectors: np.ndarray, texts: Sequence[str]) -> np.ndarray:
        """(n, d) unit vectors of whole texts, and the normalised texts -> (n,) probability of being pleased."""
        logits = self.review_logits(vectors)
        if "ngrams" in self._tensors:
            of_vector, of_ngrams, intercept = self._tensors["blend"]
            logits = of_vector * logits + of_ngrams * summed_weights(texts, self._tensors["ngrams"]) + intercept
        return _sigmoid(logits)

    def review_logits(self, vectors: np.ndarray) -> np.ndarray:
        """(n, d) unit vectors of whole texts -> (n,) what the vectors alone say."""
        return _logits(vectors, self._tensors, "review")[:, 0]

    def clause_pleasure(self, vectors: np.ndarray, turned: np.ndarray) -> np.ndarray:
        """(n, d) unit vectors of clauses and (n,) whether they are negated -> (n,) probability of being pleased."""
        return _sigmoid(_logits(clause_inputs(vectors, turned), self._tensors, "clause")[:, 0])

    def aspects(self, vectors: np.ndarray) -> np.ndarray:
        """(n, d) unit vectors of clauses -> (n, aspects) probability of being about each."""
        return _sigmoid(_logits(vectors, self._tensors, "aspects"))

    def judge(self, texts: Sequence[str], vectors: np.ndarray, encoder: Encoder) -> list[Judgement]:
        """Judge normalised texts with their (n, d) vectors. A text of one clause needs no further encoding."""
        parts = [parts_of(text) for text in texts]
        several = sorted({clause.text for some in parts if len(some) > 1 for clause in some})
        made = dict(zip(several, encoder.encode_texts(several), strict=True)) if several else {}
        of_clauses = [
            vectors[row] if len(some) == 1 else made[clause.text] for row, some in enumerate(parts) for clause in some
        ]
        return self.judge_parts(texts, parts, vectors, np.stack(of_clauses)) if texts else []

    def judge_parts(
        self, texts: Sequence[str], parts: Sequence[Sequence[Clause]], vectors: np.ndarray, of_clauses: np.ndarray
    ) -> list[Judgement]:
        """Judge texts by their `parts_of`: (n, d) vectors of the texts and those of all their clauses in order."""
        flat = [clause for some in parts for clause in some]
        pleased = self.clause_pleasure(of_clauses, np.array([negated(clause.text) for clause in flat]))
        about = self.aspects(of_clauses)
        scores = 2 * self.review_pleasure(vectors, texts) - 1
        found, end = [], 0
        for text, score, some in zip(texts, scores, parts, strict=True):
            start, end = end, end + len(some)
            opinions: list[Opinion] = []
            for clause, pleasure, probabilities in zip(some, pleased[start:end], about[start:end], strict=True):
                opinions += opinions_in(clause, float(pleasure), _topics(clause.text, probabilities))
            sure = (1 + abs(float(score))) / 2
            label = label_of(float(score), pleased[start:end])
            found.append(Judgement(label, float(score), sure, written_in(text), tuple(opinions)))
        return found


def _topics(clause: str, probabilities: np.ndarray) -> frozenset[str]:
    """The aspects that a clause names; where it names none, those that its vector gives."""
    return named(clause) or frozenset(ASPECTS[i] for i in np.flatnonzero(probabilities >= UNNAMED))


def _logits(inputs: np.ndarray, tensors: dict[str, np.ndarray], head: str) -> np.ndarray:
    found: np.ndarray = inputs @ tensors[f"{head}.weight"].T + tensors[f"{head}.bias"]
    return found


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(logits, -30, 30)))
