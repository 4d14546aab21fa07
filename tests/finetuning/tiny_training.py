"""A training of seconds, which a test can kill: `python -m tests.finetuning.tiny_training STATE`."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import torch
from scipy import sparse

from encoders.finetuning.lessons import Lessons, Pairs
from encoders.finetuning.loop import SCORE, Options, Training
from encoders.finetuning.model import Adapters, Material
from encoders.finetuning.towers import Trained

CONTENTS, TEXTS, FEATURES, DIMENSIONS = 30, 20, 12, 6
OPTIONS = Options(steps=60, judged_every=5, patience=20, pairs=8, anywhere=4, seed=4)


def pairs(rng: np.random.Generator, left: int, count: int) -> Pairs:
    return Pairs(rng.integers(0, left, count), rng.integers(0, CONTENTS, count), rng.random(count) + 0.1)


def lessons(seed: int) -> Lessons:
    """Random pairs; two contents are alike, as both show one picture."""
    rng = np.random.default_rng(seed)
    shows = np.eye(CONTENTS, dtype=np.float32)
    shows[0, 1] = 1.0
    kinds = {"title": pairs(rng, TEXTS, 20), "search": pairs(rng, TEXTS, 30), "together": pairs(rng, CONTENTS, 60)}
    category = np.arange(CONTENTS) % 3
    return Lessons(kinds, category, sparse.csr_array(shows), TEXTS)


def training(state: Path, pause: float = 0.0) -> tuple[Training, Adapters]:
    """Linear adapters on random features. The judge likes vectors near an axis, and takes its time."""
    torch.manual_seed(9)
    torch.set_num_threads(1)
    material = Material(
        torch.randn(CONTENTS, FEATURES), torch.arange(CONTENTS).reshape(-1, 1), torch.randn(TEXTS, FEATURES)
    )
    sides = [Trained(torch.nn.Linear(FEATURES, DIMENSIONS, bias=False), {"weight": name}) for name in ("a", "b")]
    adapters = Adapters(sides[0], sides[1], material)

    def judge(vectors: torch.Tensor) -> dict[str, float]:
        time.sleep(pause)
        return {SCORE: float(vectors[:10, 0].mean())}

    return Training(adapters, lessons(1), lessons(2), judge, OPTIONS, state), adapters


if __name__ == "__main__":
    training(Path(sys.argv[1]), pause=0.05)[0].run(lambda progress: print(progress.step, flush=True))
