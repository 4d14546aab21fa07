"""What was done since the last feature run, by subject: what is added to the tables that the run left.

Additive, so the order in which acts come in changes nothing. Plain Python and numpy.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from pipelines.features.scalars import DAILY
from pipelines.features.sliding import NEVER
from pipelines.stream.acts import Act
from pipelines.tables.definitions import HALF_LIVES_DAYS, RECENT_ACTIONS

Purposes = tuple[str, ...]
_SESSIONS, _ORDERS = DAILY.sums.index("sessions"), DAILY.sums.index("orders")
# A subject's actions are thinned out when there are so many times more than are ever looked at.
_TOO_MANY = 4


@dataclass
class DaySums:
    """The sums of a subject's day under the same purposes, in DAILY's order; instants in microseconds."""

    sums: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(len(DAILY.sums)))
    first: int = NEVER
    lasts: tuple[int, ...] = (NEVER,) * len(DAILY.lasts)
    sessions: set[str] = field(default_factory=set)
    orders: set[str] = field(default_factory=set)

    def add(self, act: Act) -> None:
        """Take an act in. A session, or an order, counts with the first of its acts that is met."""
        sums = act.sums.copy()
        name = f"session {act.session}" if act.session else f"event {act.event_id}"
        for place, seen in ((_SESSIONS, self.sessions), (_ORDERS, self.orders)):
            if sums[place] and name in seen:
                sums[place] = 0
            elif sums[place]:
                seen.add(name)
        self.sums += sums
        self.first = act.at if self.first == NEVER else min(self.first, act.at)
        self.lasts = tuple(map(max, self.lasts, act.lasts))


@dataclass
class OpenSubject:
    """See the module. `tiles` are keyed by day, modality, content and purposes."""

    days: dict[tuple[int, Purposes], DaySums] = field(default_factory=lambda: defaultdict(DaySums))
    tiles: dict[tuple[int, str, str, Purposes], npt.NDArray[np.float64]] = field(
        default_factory=lambda: defaultdict(lambda: np.zeros(len(HALF_LIVES_DAYS)))
    )
    actions: list[Act] = field(default_factory=list)

    @property
    def newest(self) -> int:
        """The newest act, microseconds; NEVER where there is none."""
        return max((day.lasts[0] for day in self.days.values()), default=NEVER)

    def add(self, act: Act) -> None:
        """Take an act in."""
        self.days[act.day, act.purposes].add(act)
        for tile in act.tiles:
            self.tiles[act.day, tile.modality, tile.content_id, act.purposes] += tile.weights
        if act.is_product_action:
            self.actions.append(act)
            if len(self.actions) > _TOO_MANY * RECENT_ACTIONS:
                self._thin_out()

    def _thin_out(self) -> None:
        """Keep the newest for each set of purposes, and the newest on products with pictures; with those that are as
        new as the last of them, for which are taken of these is not decided here."""
        kept: dict[str, Act] = {}
        for some in (self.actions, [act for act in self.actions if act.picture is not None]):
            of: dict[Purposes, list[Act]] = defaultdict(list)
            for act in sorted(some, key=lambda a: (a.at, a.event_id), reverse=True):
                mine = of[act.purposes]
                if len(mine) < RECENT_ACTIONS or act.at == mine[-1].at:
                    mine.append(act)
                    kept[act.event_id] = act
        self.actions = list(kept.values())


class OpenDays:
    """All subjects that did something, and acts whose time has not come: a shop's clock may be ahead of ours."""

    def __init__(self) -> None:
        self.subjects: dict[str, OpenSubject] = defaultdict(OpenSubject)
        self._ahead: list[Act] = []

    def add(self, acts: Iterable[Act], until: int) -> dict[str, set[str]]:
        """Take acts in, and earlier ones whose time has come by `until` (microseconds).

        Returns the subjects that acted, each with the modalities of what it acted on.
        """
        ahead: list[Act] = []
        touched: dict[str, set[str]] = defaultdict(set)
        for act in self._with_waiting(acts):
            if act.at > until:
                ahead.append(act)
                continue
            self.subjects[act.subject].add(act)
            touched[act.subject].update(tile.modality for tile in act.tiles)
        self._ahead = ahead
        return dict(touched)

    @property
    def waiting(self) -> int:
        """Acts whose time has not come."""
        return len(self._ahead)

    def _with_waiting(self, acts: Iterable[Act]) -> Iterator[Act]:
        yield from self._ahead
        yield from acts
