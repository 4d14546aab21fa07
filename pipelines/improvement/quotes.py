"""Quotes by their places in texts: read from silver, so that an erased text is quoted no more."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from encoders.heads.language import WrittenIn, written_in
from pipelines.errors import TableNotFoundError
from pipelines.point_in_time.partitions import read_partitions
from pipelines.settings import Settings
from pipelines.tables.features import USER_CONSENT
from pipelines.tables.schema import Table
from pipelines.tables.sources import MESSAGES, REVIEWS

PURPOSE = "personalisation"


@dataclass(frozen=True)
class Quote:
    """A clause, and the review or message that it is of."""

    text_id: str
    words: str
    language: WrittenIn


def quoted(settings: Settings, places: Iterable[str]) -> dict[str, Quote]:
    """Quotes by place (`id#start-end`), of texts that are there and whose writers allow personalisation now.

    Reads the texts' files whole. Raises UnsupportedTableError.
    """
    wanted = {place: _parsed(place) for place in places}
    ids = pa.array({text_id for text_id, _, _ in wanted.values()}, pa.string())
    said: dict[str, tuple[str, str]] = {}
    for table, key, columns in ((REVIEWS, "review_id", ["title", "text"]), (MESSAGES, "message_id", ["text"])):
        rows = _rows(settings, table, [key, "user_id", *columns])
        for row in rows.filter(pc.is_in(rows[key], ids)).to_pylist():
            # As it was hashed, encoded and judged.
            whole = " ".join(row[name] for name in columns if row[name] is not None)
            said[row[key]] = (row["user_id"], whole)
    allowing = _allowing(settings, {user for user, _ in said.values()})
    found = {}
    for place, (text_id, start, end) in wanted.items():
        user, whole = said.get(text_id, ("", ""))
        if user in allowing and whole[start:end]:
            found[place] = Quote(text_id, whole[start:end], written_in(whole))
    return found


def _parsed(place: str) -> tuple[str, int, int]:
    text_id, _, where = place.rpartition("#")
    start, _, end = where.partition("-")
    return text_id, int(start), int(end)


def _allowing(settings: Settings, users: set[str]) -> set[str]:
    """Those of some users who allow it by their newest word, or by default where they said nothing."""
    rows = _rows(settings, USER_CONSENT, ["user_id", "purposes", "event_timestamp", "created_at"])
    mine = rows.filter(pc.is_in(rows["user_id"], pa.array(users, pa.string())))
    order = [("event_timestamp", "ascending"), ("created_at", "ascending")]
    newest = {row["user_id"]: row["purposes"] for row in mine.sort_by(order).to_pylist()}
    by_default = getattr(settings.consent_default, PURPOSE) == "allow"
    return {user for user in users if (PURPOSE in newest[user] if user in newest else by_default)}


def _rows(settings: Settings, table: Table, columns: list[str]) -> pa.Table:
    try:
        return read_partitions(table.location(settings.under_home().rstrip("/")), columns)
    except TableNotFoundError:
        return pa.table({name: pa.array([], pa.string()) for name in columns})
