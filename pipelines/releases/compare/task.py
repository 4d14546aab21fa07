"""What a task is, what it is given, and what it says of two encoders."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from encoders.evaluation.estimates import Difference, Estimate, paired, ratio
from pipelines.evaluation.prototypes import Floats
from pipelines.releases.compare.interests import Behaviour
from pipelines.releases.compare.shop import Shop
from pipelines.releases.compare.vectors import Space


@dataclass(frozen=True)
class Case:
    """Two encoders' vectors of one home's contents, and what its users did."""

    shop: Shop
    behaviour: Behaviour
    before: Space
    after: Space

    @property
    def spaces(self) -> tuple[Space, Space]:
        return self.before, self.after

    def both_have(self, modality: str, content: str) -> bool:
        return self.before.has(modality, content) and self.after.has(modality, content)


@dataclass(frozen=True)
class Example:
    """One query with what each encoder ranks highest: numbers of the task's candidates, best first."""

    query: str
    relevant: frozenset[int]
    before: tuple[int, ...]
    after: tuple[int, ...]
    gained: float


@dataclass(frozen=True)
class Candidate:
    """What can be found: its caption and the pictures that show it (content hashes)."""

    caption: str
    pictures: tuple[str, ...] = ()


@dataclass(frozen=True)
class Scores:
    """A quantity per unit (units,) by both encoders, between 0 and 1, greater is better.

    `slices` give each unit's group by the name of a grouping. `more` are further quantities of the same units that
    are shown but not tested.
    """

    unit: str
    quantity: str
    before: Floats
    after: Floats
    slices: Mapping[str, Sequence[str]] = field(default_factory=dict)
    chance: float | None = None
    more: Mapping[str, tuple[Floats, Floats]] = field(default_factory=dict)
    examples: tuple[Example, ...] = ()
    candidates: tuple[Candidate, ...] = ()


@dataclass(frozen=True)
class Lacking:
    """Why a task cannot be set on this home."""

    reason: str


@dataclass(frozen=True)
class Task:
    """A short name for MLflow, a title and an explanation for readers, and how it is set."""

    name: str
    title: str
    explanation: str
    set: Callable[[Case], Scores | Lacking]


@dataclass(frozen=True)
class Outcome:
    """Both encoders' values with intervals, and their paired difference; `p` is corrected for the number of tasks."""

    task: Task
    scores: Scores
    before: Estimate
    after: Estimate
    difference: Difference
    p: float


def estimated(values: Floats) -> Estimate:
    """The mean with its bootstrap interval. Raises AssertionError of no units."""
    found = ratio(values, [1.0] * len(values))
    if found is None:
        raise AssertionError("a task without units")
    return found


def differing(scores: Scores) -> Difference:
    """Raises AssertionError of no units."""
    found = paired(scores.before, scores.after)
    if found is None:
        raise AssertionError("a task without units")
    return found
