"""What a measure is, what it is given and what it gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from encoders.evaluation.estimates import Estimate
from pipelines.evaluation.truth import Truth
from pipelines.identity.subject_keys import DEVICE, USER, subject_key
from pipelines.point_in_time.published import Published

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Evidence:
    """What measures compare: the truth, and what was published, both at one moment."""

    truth: Truth
    published: Published

    @property
    def as_of(self) -> datetime:
        return self.published.as_of

    def user_key(self, user_id: str) -> str:
        """The subject key that stands for a user of the truth in the tables."""
        return subject_key(USER, user_id, self.published.settings)

    def device_key(self, device_id: str) -> str:
        return subject_key(DEVICE, device_id, self.published.settings)


@dataclass(frozen=True)
class Figure:
    """One number: of what part, which quantity, and what it is to be compared with where that is known."""

    part: str
    quantity: str
    estimate: Estimate
    chance: float | None = None


@dataclass(frozen=True)
class Measured:
    """Figures, and a plot of them."""

    figures: tuple[Figure, ...]
    plot: Callable[[Axes], None]

    def figure(self, part: str, quantity: str) -> Figure:
        """One of the figures. Raises KeyError where it is not there."""
        for figure in self.figures:
            if (figure.part, figure.quantity) == (part, quantity):
                return figure
        raise KeyError((part, quantity))


@dataclass(frozen=True)
class Absent:
    """Why there is nothing to measure."""

    reason: str


@dataclass(frozen=True)
class Topic:
    """What figures are about: a short name for MLflow, a title and an explanation for readers."""

    name: str
    title: str
    explanation: str


@dataclass(frozen=True)
class Measure(Topic):
    """A topic, and how its figures are taken.

    `take` raises TableNotFoundError where a table it needs does not exist: the measure is absent then, too.
    """

    take: Callable[[Evidence], Measured | Absent]


def figures(*found: tuple[str, str, Estimate | None] | tuple[str, str, Estimate | None, float]) -> tuple[Figure, ...]:
    """Figures of (part, quantity, estimate[, chance]); those of nothing are left out."""
    return tuple(
        Figure(part, quantity, estimate, rest[0] if rest else None)
        for part, quantity, estimate, *rest in found
        if estimate is not None
    )
