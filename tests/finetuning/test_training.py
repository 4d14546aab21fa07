"""The training: what is told apart, what is kept, when it ends, and that a killed one ends as if it had not been."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from encoders.finetuning.lessons import drawn
from encoders.finetuning.loop import SCORE, Options, Progress
from encoders.finetuning.loss import info_nce, moved
from pipelines.settings import PROJECT_ROOT
from tests.finetuning.tiny_training import CONTENTS, OPTIONS, lessons, training


def test_what_is_right_as_well_is_not_told_apart() -> None:
    candidates = torch.eye(3)
    left, right = candidates[:2], torch.tensor([0, 1])
    nothing, all_known = torch.zeros(2, 3, dtype=torch.bool), torch.ones(2, 3, dtype=torch.bool)
    assert float(info_nce(left, candidates, right, all_known, 0.5)) == pytest.approx(0.0)
    # By hand: e^2 against two others (forth) and one other (back) of likeness 0.
    forth, back = np.log(1 + 2 * np.exp(-2)), np.log(1 + np.exp(-2))
    assert float(info_nce(left, candidates, right, nothing, 0.5)) == pytest.approx((forth + back) / 2)


def test_moving_is_counted_from_the_start() -> None:
    start = torch.eye(2)
    assert float(moved(start, start)) == pytest.approx(0.0)
    assert float(moved(start.flip(0), start)) == pytest.approx(1.0)


def test_a_batch_follows_from_its_seed_and_holds_hard_negatives() -> None:
    made, sizes = lessons(1), {"title": 4, "search": 4, "together": 4}
    batch, again = (drawn(made, sizes, 3, 0, (1, 2)) for _ in range(2))
    assert (batch.candidates == again.candidates).all()
    positives = np.unique(np.concatenate([batch.candidates[part.right] for part in batch.parts]))
    others = np.setdiff1d(batch.candidates, positives)
    assert len(others)
    assert set(made.category[others]) <= set(made.category[positives])
    for part in batch.parts:
        # A picture shown by two products makes neither a negative of the other.
        for row, place in enumerate(part.right):
            twins = {0: 1, 1: 0}.get(int(batch.candidates[place]))
            if twins is not None and part.kind == "together" and twins in batch.candidates:
                assert part.known[row, np.searchsorted(batch.candidates, twins)]


def test_it_ends_when_nothing_gets_better() -> None:
    options = Options(steps=100, judged_every=5, patience=2)
    curve = [{SCORE: 0.1}, {SCORE: 0.3}, {SCORE: 0.2}, {SCORE: 0.3}]
    assert Progress(15, 0.0, 5, curve).is_over(options)
    assert not Progress(10, 0.0, 5, curve[:3]).is_over(options)
    assert Progress(100, 0.0, 95, curve).is_over(options)


def test_the_best_weights_are_kept(tmp_path: Path) -> None:
    made, adapters = training(tmp_path / "state")
    progress = made.run()
    assert progress.curve[0]["step"] == 0
    assert float(adapters.all_contents()[:10, 0].mean()) == pytest.approx(progress.best, abs=1e-6)
    assert adapters.all_contents().shape == (CONTENTS, 6)


def test_a_killed_run_ends_with_the_same_weights(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.finetuning.tiny_training", str(tmp_path / "state")]
    killed = subprocess.Popen(command, cwd=PROJECT_ROOT, stdout=subprocess.PIPE, text=True)
    assert killed.stdout is not None
    for line in killed.stdout:
        # Between two checkpoints: what came after the last one is done again.
        if int(line) == 3 * OPTIONS.judged_every + 2:
            killed.send_signal(signal.SIGKILL)
            break
    killed.stdout.close()
    assert killed.wait() == -signal.SIGKILL
    resumed, found = training(tmp_path / "state")
    steps: list[int] = []
    resumed.run(lambda progress: steps.append(progress.step))
    assert 0 < steps[0] <= 3 * OPTIONS.judged_every + 2
    whole, expected = training(tmp_path / "other")
    whole.run()
    for name, parameter in expected.named_parameters().items():
        assert torch.equal(found.named_parameters()[name], parameter)
