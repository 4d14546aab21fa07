"""Whose rows a micro-batch changes, as of when, and whose acts they sum."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pipelines.features.interest_rows import DAY_MICROSECONDS
from pipelines.stream.base import Base, midnight_after
from pipelines.stream.open_days import OpenDays


@dataclass(frozen=True)
class Profile:
    """A user, or an anonymous device, whose rows are made: the moment they are of (microseconds), whom they sum, and
    the modalities in which something is new."""

    user: str
    at: int
    members: frozenset[str]
    modalities: frozenset[str]

    @property
    def midnight(self) -> int:
        """The day's end that its windows reach up to, in days since 1970."""
        return midnight_after(self.at)


def touched_profiles(base: Base, open_days: OpenDays, touched: Mapping[str, Iterable[str]], now: int) -> list[Profile]:
    """The profiles of those who acted and of users to whom they are linked at `now` (microseconds), by user.

    A row is of the newest act it holds, and never of a moment before that which the last feature run reached.
    """
    modalities: dict[str, set[str]] = {}
    for subject, seen in touched.items():
        for user in base.links.profiles(subject, now):
            modalities.setdefault(user, set()).update(seen)
    profiles = []
    for user, seen in sorted(modalities.items()):
        members = base.links.members(user, now)
        newest = max(open_days.subjects[m].newest for m in members if m in open_days.subjects)
        at = max(newest, base.done.midnight * DAY_MICROSECONDS)
        profiles.append(Profile(user, at, members, frozenset(seen)))
    return profiles
