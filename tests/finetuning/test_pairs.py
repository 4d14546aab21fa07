"""What users did as pairs: of whom, until when, and which."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pipelines.finetuning.pairs import NEXT, allowed_acts, searched, together
from pipelines.tables.sources import CONSENTS, EVENTS, TOMBSTONES
from tests.hand_made_home import Home

CUT = datetime(2026, 3, 10, tzinfo=UTC)
NOW = datetime(2026, 4, 1, tzinfo=UTC)
Row = dict[str, Any]


def act(user: str, kind: str, minute: int, what: str | None = None, **more: Any) -> Row:
    at = datetime(2026, 3, 9, tzinfo=UTC) + timedelta(minutes=minute)
    named = {"query": what} if kind == "search" else {"product_id": what}
    row = {"event_id": f"{user}{minute:05d}", "subject_id": user, "event_type": kind, "event_timestamp": at}
    return row | {"event_date": at.date(), "available_at": at, "session_id": f"{user}-s"} | named | more


def said(user: str, granted: bool, since: datetime, until: datetime | None = None) -> Row:
    row = {"user_id": user, "purpose": "personalisation", "granted": granted, "valid_from": since, "valid_to": until}
    return row | {"available_at": since, "drop_id": "d"}


@pytest.fixture(scope="module")
def pairs(standing_home: Home) -> dict[str, set[tuple[str, str, int]]]:
    """Of ann and bob, who allow it; of others nothing may be seen."""
    early = CUT - timedelta(days=30)
    others = {user: said(user, True, early) for user in ("ann", "bob", "gone", "erased")}
    others["refused"] = said("refused", False, early)
    # Allowed when acting, withdrawn since.
    others["gone"] = said("gone", True, early, CUT)
    standing_home.write(CONSENTS, *others.values(), said("gone", False, CUT))
    standing_home.write(TOMBSTONES, {"subject_id": "erased", "erased_at": CUT, "reason": "asked"})
    events = [
        act("ann", "click", 1, "p0"),
        act("ann", "search", 2, " shoes "),
        act("ann", "impression", 3, "p9"),
        act("ann", "click", 4, "p1"),
        act("ann", "purchase", 5, "p1"),
        act("ann", "search", 6, "hats"),
        act("ann", "click", 7, "p2"),
        act("bob", "search", 1, "shoes"),
        act("bob", "view", 2, "p3"),
        act("bob", "click", 3, "p1"),
        act("bob", "search", 4, "ann's secret"),
        act("bob", "click", 5, "p4"),
        act("bob", "view", 6, "p5", session_id=None),
        act("bob", "view", 60 * 24 + 7, "p6"),  # after the cut
        act("bob", "view", 8, "p7", available_at=CUT + timedelta(days=1)),  # known after it
    ]
    for user in ("refused", "gone", "erased"):
        events += [act(user, "search", 1, "hats"), act(user, "click", 2, "p8"), act(user, "click", 3, "p9")]
    standing_home.write(EVENTS, *events)
    acts = allowed_acts(standing_home.store, standing_home.run(NOW), CUT)
    found = {"searched": searched(acts), "together": together(acts)}
    return {name: {tuple(row) for row in rows.collect()} for name, rows in found.items()}


def test_a_query_goes_with_what_was_chosen_after_it(pairs: dict[str, set[tuple[str, str, int]]]) -> None:
    # "hats" and the secret were typed by one who may be used; a view is no choice.
    assert pairs["searched"] == {("shoes", "p1", 3)}


def test_products_of_a_session_go_together_in_order(pairs: dict[str, set[tuple[str, str, int]]]) -> None:
    assert NEXT >= 2
    ann = {("p0", "p1", 1), ("p0", "p2", 1), ("p1", "p2", 1)}
    assert pairs["together"] == ann | {("p3", "p1", 1), ("p3", "p4", 1), ("p1", "p4", 1)}
