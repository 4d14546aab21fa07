"""Retiring a release: first it is no longer live, then views, services and online rows go, after retention its rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pipelines.errors import PromotionPendingError, PromotionRefusedError, UnknownReleaseError
from pipelines.governance.home import open_home
from pipelines.governance.writing import only_writer
from pipelines.online.layout import field_id
from pipelines.online.rows import Held
from pipelines.releases.inventory import consumers
from pipelines.releases.journal import read_journal, read_log, record
from pipelines.releases.manifest import Release, view_name
from pipelines.releases.pin import any_release, live_releases, read_pin, write_pin
from pipelines.releases.versions import own_encoders, own_histories
from pipelines.run import new_run, table_store
from pipelines.serving.repo import apply, feature_store, packed_store
from pipelines.settings import Settings


@dataclass(frozen=True)
class Retired:
    """What went: online rows of views that no live release has, and the bytes of the Delta files that were deleted.

    `waiting` are retired releases whose rows are kept until the given moments (retention), `left_behind` the
    superseded model versions that learned from the release.
    """

    online: Held
    freed_bytes: int
    waiting: dict[str, datetime]
    left_behind: tuple[str, ...]


def retire(settings: Settings, name: str | None = None) -> Retired:
    """Retire a release; without a name, only delete the rows of earlier ones whose retention is over.

    Going on after a crash is to call it again. Raises PromotionRefusedError for the default release and for one that
    a registered model in its current version consumes; PromotionPendingError; UnknownReleaseError; PipelineError
    without MLflow.
    """
    open_home(settings, create=False)
    if (journal := read_journal(settings)) is not None:
        raise PromotionPendingError(f"a promotion of {journal.release} was cut off; finish or undo it first")
    online = Held(0, 0)
    left_behind: tuple[str, ...] = ()
    if name is not None:
        release = any_release(settings, name)
        if name in read_pin(settings).live:
            left_behind = _require_unused(settings, name)
            record(settings, "retiring", name)
            write_pin(settings, [r for r in live_releases(settings) if r != release], read_pin(settings).default)
        elif not any(e["release"] == name and e["what"] == "retiring" for e in read_log(settings)):
            raise UnknownReleaseError(f"release '{name}' never was live")
        online = _take_offline(settings, release)
        record(settings, "retired", name)
    freed, waiting = _delete_rows(settings)
    return Retired(online, freed, waiting, left_behind)


def _require_unused(settings: Settings, name: str) -> tuple[str, ...]:
    """The superseded model versions that learned from the release: nobody is served by them."""
    if name == read_pin(settings).default:
        raise PromotionRefusedError(f"{name} is the default release; promote or roll back to another first")
    learned = [consumer for consumer in consumers(settings) if consumer.release == name]
    if any(consumer.is_current for consumer in learned):
        listed = ", ".join(f"{consumer.uri} ({consumer.service})" for consumer in learned if consumer.is_current)
        raise PromotionRefusedError(
            f"{name} is consumed by {listed}; train them on another release, or delete those model versions or "
            "withdraw their aliases first"
        )
    return tuple(consumer.uri for consumer in learned)


def _take_offline(settings: Settings, release: Release) -> Held:
    """Views and services leave the registry, and with the views their online rows; what those were."""
    live = live_releases(settings)
    feast = feature_store(settings, offline=False)
    keeper = packed_store(feast).keeper(feast.config)
    # From here on servers answer that it is not live.
    keeper.raise_generation()
    gone = [view_name(t, p, release) for t, _ in own_histories(release, live) for p in t.purposes or (None,)]
    held = keeper.held([field_id(view) for view in gone])
    apply(settings, new_run(settings), live)
    # A cut-off retirement may have left rows of views that the registry no longer knows.
    keeper.delete_fields([field_id(view) for view in gone])
    return Held(sum(of_view.rows for of_view in held), sum(of_view.bytes for of_view in held))


def _delete_rows(settings: Settings) -> tuple[int, dict[str, datetime]]:
    """Of all that were retired long enough ago, what no live or kept release needs: its bytes, and who waits."""
    live, kept, due = live_releases(settings), {}, []
    for retired, at in _retired(settings).items():
        until = at + timedelta(days=settings.retired_release_days)
        if until > datetime.now(UTC):
            kept[retired] = until
        else:
            due.append(any_release(settings, retired))
    others = [*live, *(any_release(settings, retired) for retired in kept)]
    due = [r for r in due if own_histories(r, others) or own_encoders(r, others)]
    return _freed(settings, due, others) if due else 0, kept


def _freed(settings: Settings, due: Sequence[Release], others: Sequence[Release]) -> int:
    from pipelines.releases.removal import remove_rows

    with table_store(settings, "mmfs releases retire") as store, only_writer(settings):
        freed = 0
        for release in due:
            freed += remove_rows(store, release, others)
            record(settings, "deleted", release.name)
    return freed


def _retired(settings: Settings) -> dict[str, datetime]:
    """When each retired release whose rows were not deleted was retired."""
    found: dict[str, datetime] = {}
    for entry in read_log(settings):
        if entry["what"] == "retired":
            found[entry["release"]] = datetime.fromisoformat(entry["at"])
        elif entry["what"] == "deleted":
            found.pop(entry["release"], None)
    return found
