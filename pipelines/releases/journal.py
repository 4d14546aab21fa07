"""What a promotion has begun, so that the next call finishes or undoes it, and what became of earlier ones."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pipelines.errors import ReleaseDamagedError
from pipelines.releases.files import read_file, remove_file, write_file
from pipelines.settings import Settings

_JOURNAL, _LOG = "promotion.json", "log.json"


@dataclass(frozen=True)
class Journal:
    """A promotion under way.

    Attributes:
        release: name of the candidate, whose manifest is written.
        previous: the default release that it is to take the place of.
        reason: why it was forced, or None.
        judgements: what the gate said, by part of the release.
        backfilled: histories that are written, with the times (UTC, ISO 8601) at which each was begun.
    """

    release: str
    previous: str
    reason: str | None
    judgements: dict[str, str]
    backfilled: dict[str, str] = field(default_factory=dict)

    def with_backfilled(self, table: str, begun: datetime) -> Journal:
        return dataclasses.replace(self, backfilled={**self.backfilled, table: begun.isoformat()})

    @property
    def backfilled_since(self) -> datetime | None:
        """When the first of the histories that stand was begun; None where none was written."""
        return min((datetime.fromisoformat(begun) for begun in self.backfilled.values()), default=None)


def read_journal(settings: Settings) -> Journal | None:
    """The promotion under way, None where there is none. Raises ReleaseDamagedError."""
    text = read_file(settings, _JOURNAL)
    if text is None:
        return None
    try:
        return Journal(**json.loads(text))
    except (ValueError, TypeError) as error:
        raise ReleaseDamagedError(f"not a journal of a promotion ({error}): releases/{_JOURNAL}") from error


def write_journal(settings: Settings, journal: Journal) -> None:
    write_file(settings, _JOURNAL, json.dumps(dataclasses.asdict(journal), ensure_ascii=False, indent=2) + "\n")


def clear_journal(settings: Settings) -> None:
    remove_file(settings, _JOURNAL)


def read_log(settings: Settings) -> list[dict[str, Any]]:
    """What happened to releases, oldest first: `what`, `release`, `at`, and what else there is to say."""
    entries: list[dict[str, Any]] = json.loads(read_file(settings, _LOG) or "[]")
    return entries


def record(settings: Settings, what: str, release: str, **facts: Any) -> None:
    """Add an entry, unless the newest says the same: what is repeated after a crash is told once."""
    entries, entry = read_log(settings), {"what": what, "release": release, **facts}
    if entries and {k: v for k, v in entries[-1].items() if k != "at"} == json.loads(json.dumps(entry)):
        return
    entries.append({**entry, "at": datetime.now(UTC).isoformat()})
    write_file(settings, _LOG, json.dumps(entries, ensure_ascii=False, indent=2) + "\n")
