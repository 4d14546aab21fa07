"""From scores to confidences: logistic regression on held-out truth (Platt, 1999), per definition.

A preference's score is log(lift), and how much was seen tells how far to believe it:
    confidence = sigmoid(a + b * score + c * log(1 + seen) + d * score * log(1 + seen))
A rule's score is the logit of its probability, and `seen` is zero.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipelines.errors import TagCatalogueError

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Curve:
    """a, b, c, d of the formula above; on how many truths of how many judgements they were fitted (0: on none)."""

    intercept: float
    score: float
    seen: float = 0.0
    score_seen: float = 0.0
    positives: int = 0
    judged: int = 0

    def confidence(self, score: Floats, seen: Floats) -> Floats:
        """Confidences in (0, 1)."""
        log_seen = np.log1p(seen)
        logit = self.intercept + self.score * score + self.seen * log_seen + self.score_seen * score * log_seen
        return np.asarray(1 / (1 + np.exp(-np.clip(logit, -30, 30))))


PREFERENCE = Curve(intercept=-2.0, score=2.0, seen=0.0, score_seen=0.3)
RULE = Curve(intercept=0.0, score=1.0)
Curves = Mapping[str, Curve]


def logit(probability: Floats) -> Floats:
    clipped = np.clip(probability, 1e-6, 1 - 1e-6)
    return np.asarray(np.log(clipped / (1 - clipped)))


def curves_to_json(curves: Curves) -> str:
    """By tag, for a reviewer's eyes; equal curves give equal text."""
    return json.dumps({tag: asdict(curve) for tag, curve in sorted(curves.items())}, indent=2) + "\n"


def curves_from_json(text: str, source: str) -> dict[str, Curve]:
    """Inverse of `curves_to_json`. Raises TagCatalogueError, which names `source`."""
    try:
        return {str(tag): Curve(**values) for tag, values in json.loads(text).items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise TagCatalogueError(f"calibration {source} is damaged ({error})") from error


def read_curves(path: Path) -> dict[str, Curve]:
    """Curves of a file; none where it does not exist."""
    return curves_from_json(path.read_text(encoding="utf-8"), str(path)) if path.exists() else {}
