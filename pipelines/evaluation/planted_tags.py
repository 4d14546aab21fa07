"""Which tags the truth of a sample shop plants in whom. The catalogue knows nothing of it.

A taste holds where at least TASTE of the user's attention along its axis is given to it. What the shop could not know
(a favourite of somebody who never came) is planted all the same; measures say of whom they speak.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from pipelines.evaluation.truth import Truth

TASTE = 0.25
# Sensitivities and responses from which on a user counts as such; about a third of users are above each.
_SENSITIVE, _RESPONSIVE = 1.0, 1.0
_NEW = timedelta(days=30)
_TASTES = {
    "interest.category": "category",
    "interest.brand": "brand",
    "interest.colour": "colour",
    "interest.style": "style",
}

# Of each user of the truth, the values (None: the tag has none) that hold.
Planted = dict[str, frozenset[str | None]]


def planted(truth: Truth, moment: datetime) -> dict[str, Planted]:
    """By tag id, for each tag that something is planted for: what holds of every user at a moment."""
    users = truth.rows("users")
    found = {tag: _tastes(truth, axis, moment) for tag, axis in _TASTES.items()}
    found |= {
        tag: {user["user_id"]: frozenset({None} if holds(user, moment) else ()) for user in users}
        for tag, holds in _HOLDS.items()
    }
    return found


def _tastes(truth: Truth, axis: str, moment: datetime) -> Planted:
    names: list[str] = truth.facts["axes"][axis]
    now = truth.at("tastes", "user_id", moment, axis=axis)
    return {
        user: frozenset(name for name, share in zip(names, row["shares"], strict=True) if share >= TASTE)
        for user, row in now.items()
    }


def _turned(life_cycle: str) -> Callable[[Mapping[str, Any], datetime], bool]:
    def holds(user: Mapping[str, Any], moment: datetime) -> bool:
        return bool(user["life_cycle"] == life_cycle and user["life_cycle_at"] <= moment)

    return holds


def _is_new(user: Mapping[str, Any], moment: datetime) -> bool:
    return bool(user["life_cycle"] == "new" and timedelta() <= moment - user["life_cycle_at"] <= _NEW)


_HOLDS: dict[str, Callable[[Mapping[str, Any], datetime], bool]] = {
    "lifecycle.new": _is_new,
    "lifecycle.growing": _turned("growing"),
    "lifecycle.dormant": _turned("dormant"),
    "lifecycle.lost": _turned("churned"),
    "life_event.new_parent": _turned("new_parent"),
    "consumption.price_sensitive": lambda user, _: bool(user["price_sensitivity"] >= _SENSITIVE),
    "consumption.coupon_dependent": lambda user, _: bool(user["coupon_response"] >= _RESPONSIVE),
}
