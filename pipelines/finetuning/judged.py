"""What a fine-tuned encoder is worth beside the one it began from, each unit held against itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from encoders.evaluation.estimates import Difference, paired
from pipelines.finetuning.held_out import DEPTH
from pipelines.finetuning.study import Study

Vectors = npt.NDArray[np.float32]
PURCHASE = f"next purchase, recall@{DEPTH}"
_LEAST = 8


@dataclass(frozen=True)
class Change:
    """Both encoders' means of a quantity, and the paired difference with its bootstrap interval."""

    before: float
    after: float
    difference: Difference

    def __str__(self) -> str:
        found = self.difference
        return (
            f"{self.before:.3f} → {self.after:.3f}, {found.value:+.3f} [{found.low:+.3f}, {found.high:+.3f}], "
            f"n = {found.count:,}"
        )


@dataclass(frozen=True)
class Judged:
    """Changes by quantity, the next purchase's first. `is_better`: its whole interval lies above 0."""

    changes: Mapping[str, Change]

    @property
    def is_better(self) -> bool:
        return self.changes[PURCHASE].difference.low > 0

    def sentence(self, before: str, after: str) -> str:
        """For people."""
        change = self.changes[PURCHASE]
        found = change.difference
        said = "is better than" if self.is_better else "is worse than" if found.high < 0 else "is not shown to beat"
        return (
            f"{after} {said} {before} at finding what users buy next: recall@{DEPTH} {change.before:.3f} → "
            f"{change.after:.3f}, {found.value:+.3f} [{found.low:+.3f}, {found.high:+.3f}] over {found.count:,} users "
            "whose purchases were held out."
        )


def judge(study: Study, before: tuple[Vectors, Vectors], after: tuple[Vectors, Vectors]) -> Judged:
    """By the vectors of all contents and texts of either encoder."""
    ranked = [study.test.ranked(contents) for contents, _ in (before, after)]
    values = {
        PURCHASE: (ranked[0].recall, ranked[1].recall),
        f"next purchase, NDCG@{DEPTH}": (ranked[0].ndcg, ranked[1].ndcg),
    }
    named = [study.naming.values(*vectors) for vectors in (before, after)]
    values |= {name: (named[0][name], named[1][name]) for name in named[0]}
    changes = {}
    for name, (first, second) in values.items():
        difference = paired(first, second) if len(first) >= _LEAST else None
        if difference is not None:
            changes[name] = Change(float(first.mean()), float(second.mean()), difference)
    return Judged(changes)
