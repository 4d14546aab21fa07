"""From differences to a verdict, on differences made by hand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from encoders.evaluation.estimates import holm, paired
from pipelines.releases.compare.retrieval import SEARCH_TO_PICTURE, TITLE_TO_PICTURE
from pipelines.releases.compare.task import Outcome, Scores, Task, differing, estimated
from pipelines.releases.compare.verdict import Verdict, judged

RANDOM = np.random.default_rng(5)
GOOD = RANDOM.uniform(0.4, 0.9, 200)


def outcome(task: Task, before: np.ndarray, after: np.ndarray, chance: float = 0.05) -> Outcome:
    scores = Scores("titles", "reciprocal rank", before, after, chance=chance)
    difference = differing(scores)
    return Outcome(task, scores, estimated(before), estimated(after), difference, difference.p)


def verdict(*changes: np.ndarray | float, same_space: bool = False) -> Verdict:
    tasks: Sequence[Task] = (TITLE_TO_PICTURE, SEARCH_TO_PICTURE)
    outcomes = [outcome(task, GOOD, GOOD + change) for task, change in zip(tasks, changes, strict=True)]
    return judged(outcomes, ("first/1", "second/2"), 0.01, same_space=same_space)


NOISE = RANDOM.normal(0, 0.2, 200)
NOISE -= NOISE.mean()


@pytest.mark.parametrize(
    ("changes", "overall"),
    [
        ((0.0, 0.0), "equal"),
        ((0.05, 0.0), "better"),
        ((-0.05, 0.0), "worse"),
        ((0.05, -0.05), "mixed"),
        ((NOISE, 0.0), "open"),
        ((0.005, 0.0), "equal"),
        ((0.05 - GOOD, 0.05 - GOOD), "broken"),
    ],
)
def test_a_verdict_needs_a_real_difference_or_a_narrow_interval(
    changes: tuple[np.ndarray | float, ...], overall: str
) -> None:
    assert verdict(*changes).overall == overall


def test_exchangeable_vectors_are_equal_even_where_the_interval_is_wide() -> None:
    found = verdict(NOISE, 0.0, same_space=True)
    assert found.overall == "equal"
    assert found.calls["title_to_picture"] == "open"


def test_the_sentence_says_which_is_better_at_what_and_by_how_much() -> None:
    said = verdict(-0.05, NOISE).sentence
    assert "second/2 is worse than first/1 at “Titles find their pictures”" in said
    assert "-0.050 [-0.050, -0.050]" in said
    assert "real" in said
    assert "not told apart at “Searches find what was chosen”" in said


def test_chance_alone_is_seldom_called_a_difference() -> None:
    alarms = 0
    for seed in range(100):
        random = np.random.default_rng(seed)
        found = paired(random.normal(size=40), random.normal(size=40))
        assert found is not None
        alarms += found.p < 0.05
    assert 0 < alarms <= 12


def test_a_paired_difference_is_found_where_levels_overlap() -> None:
    levels = RANDOM.uniform(0, 1, 60)
    found = paired(levels, levels + 0.02 + RANDOM.normal(0, 0.01, 60))
    assert found is not None
    assert found.p < 0.001
    assert 0 < found.low < found.value < found.high
    assert paired([], []) is None


def test_holm_corrects_for_the_number_of_tests() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([]) == []
