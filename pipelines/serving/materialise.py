"""The newest row of every key whose history changed, into Feast's online store, as far as consent allows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from feast import FeatureStore, FeatureView
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from pipelines.answers.take_in import take_in_answers
from pipelines.delta import TableStore
from pipelines.frames import frame_of
from pipelines.governance.runs import Run, StepReport, timed_step
from pipelines.identity.tombstones import without_erased
from pipelines.serving.arrow_stream import arrow_batches
from pipelines.serving.consent_view import latest_consent, update_user_consent
from pipelines.serving.delta_source import DeltaSource
from pipelines.serving.erasure import delete_erased
from pipelines.serving.progress import (
    Filling,
    Progress,
    partition_rows,
    read_progress,
    touched_keys,
    write_progress,
)
from pipelines.serving.repo import feature_store, packed_store
from pipelines.tables.features import USER_CONSENT
from pipelines.tables.schema import CREATED_AT, EVENT_TIMESTAMP
from pipelines.tables.sources import TOMBSTONES


@dataclass(frozen=True)
class _Work:
    """What a view has to take in: `keys` (a DataFrame of the join key), or everything where it is None."""

    view: FeatureView
    source: DeltaSource
    key: str
    version: int
    since: Progress | None
    keys: DataFrame | None

    @property
    def personal(self) -> bool:
        return self.key == "user_id" and self.view.name != USER_CONSENT.name


def materialise(store: TableStore, run: Run) -> StepReport:
    """Bring the online store up to the run's time. Doing it again without new rows writes nothing.

    Rows of subjects whose consent for a view's purpose is not in force are not written; where they were, the values
    are overwritten with nulls. Whoever was erased is deleted.
    """
    with timed_step("materialise") as report:
        feast = feature_store(run.settings, offline=False)
        views = feast.list_batch_feature_views()
        filling = Filling(feast)
        progress = read_progress(store, feast)
        erased = delete_erased(store, feast, progress.get(TOMBSTONES.name), run, report)
        if erased:
            # What servers logged of them goes at once, too.
            take_in_answers(store, run)
        profile_views = [v for v in views if v.name != USER_CONSENT.name]
        works = [w for v in profile_views if (w := _work(store, v, progress.get(v.name), run))]
        report.add(USER_CONSENT.name, "consent_changes", update_user_consent(store, run, _subjects(store, works)))
        consent_view = next(v for v in views if v.name == USER_CONSENT.name)
        consent = _work(store, consent_view, progress.get(USER_CONSENT.name), run)
        if consent is not None:
            # First of all: a withdrawal closes the gate before anything else is written.
            works = [consent, *_with_consent_changes(store, works, profile_views, progress, consent, run)]
        done = [*erased, *(_take_in(store, feast, work, consent, run, report) for work in works)]
        if done:
            write_progress(store, feast, done, filling)
    return report


def standing_time(store: TableStore, feast: FeatureStore) -> datetime | None:
    """The time (aware, UTC) up to which the online store was filled last; None where it is not filled."""
    return max((done.as_of for done in read_progress(store, feast).values()), default=None)


def _work(store: TableStore, view: FeatureView, since: Progress | None, run: Run) -> _Work | None:
    source = view.batch_source
    assert isinstance(source, DeltaSource)
    version = store.version(source.declared_table)
    if version is None:
        return None
    key = view.entity_columns[0].name
    if since is None:
        return _Work(view, source, key, version, None, None)
    if since.table_version == version and not (since.rows_ahead and run.as_of > since.as_of):
        return None
    keys = touched_keys(store, view, key, since, version, run.as_of)
    return _Work(view, source, key, version, since, keys)


def _nobody(store: TableStore) -> DataFrame:
    return frame_of(store.spark, [], "user_id string")


def _subjects(store: TableStore, works: list[_Work]) -> DataFrame:
    """Users and devices that the given work is about."""
    subjects = _nobody(store)
    for work in works:
        if work.personal:
            keys = work.keys if work.keys is not None else partition_rows(store, work.source, work.version)
            subjects = subjects.union(keys.select("user_id"))
    return subjects.distinct()


def _with_consent_changes(
    store: TableStore,
    works: list[_Work],
    views: list[FeatureView],
    progress: dict[str, Progress],
    consent: _Work,
    run: Run,
) -> list[_Work]:
    """Every view of users also has to look at those whose consent changed, new rows or not."""
    planned = {work.view.name: work for work in works}
    for view in views:
        since = progress.get(view.name)
        if view.name in planned or since is None or view.entity_columns[0].name != "user_id":
            continue
        source = view.batch_source
        assert isinstance(source, DeltaSource)
        planned[view.name] = _Work(view, source, "user_id", since.table_version, since, _nobody(store))
    if consent.keys is None:
        # Nothing is known of what changed, so everybody may have.
        return [replace(w, keys=None) if w.personal else w for w in planned.values()]
    return [
        replace(w, keys=w.keys.union(consent.keys).distinct()) if w.personal and w.keys is not None else w
        for w in planned.values()
    ]


def _take_in(
    store: TableStore, feast: FeatureStore, work: _Work, consent: _Work | None, run: Run, report: StepReport
) -> Progress:
    history = partition_rows(store, work.source, work.version)
    rows = latest_rows(history, work.key, run.as_of, work.keys)
    if work.key == "user_id":
        rows = without_erased(rows, store.read(TOMBSTONES), "user_id")
    if work.personal:
        changed = consent.keys if consent else None
        rows = _as_allowed(rows, store, work, changed)
    written = 0
    online = packed_store(feast)
    for batch in arrow_batches(_columns(rows, work)):
        written += online.write_arrow(feast.config, work.view, batch, (EVENT_TIMESTAMP.name, CREATED_AT.name))
    report.add(work.view.name, "rows_written", written)
    ahead = not history.where(F.col("event_timestamp") > F.lit(run.as_of)).isEmpty()
    return Progress(work.view.name, work.version, run.as_of, ahead, datetime.now(UTC))


def latest_rows(history: DataFrame, key: str, as_of: datetime, keys: DataFrame | None) -> DataFrame:
    """Of each key (of `keys`, or all) the row with the greatest event_timestamp ≤ as_of, then created_at."""
    known = history.where(F.col("event_timestamp") <= F.lit(as_of))
    if keys is not None:
        known = known.join(keys, key, "left_semi")
    times = ["event_timestamp", "created_at"]
    # The narrow columns decide, the wide ones are fetched for the winners only.
    newest = known.groupBy(key).agg(F.max(F.struct(*times)).alias("newest")).select(key, "newest.*")
    return known.join(newest, [key, *times]).dropDuplicates([key])


def _as_allowed(rows: DataFrame, store: TableStore, work: _Work, changed: DataFrame | None) -> DataFrame:
    """Rows of consenting subjects; of those who withdrew, the row without its values."""
    consents = latest_consent(store.read(USER_CONSENT)).select("user_id", "purposes")
    judged = rows.join(consents, "user_id", "left")
    allowed = F.coalesce(F.array_contains("purposes", work.source.partition["purpose"]), F.lit(False))
    judged = judged.withColumn("_allowed", allowed)
    if work.keys is not None:
        # With all keys at hand everybody who does not consent is wiped: what a crash left behind is unknown.
        withdrawn = changed if changed is not None else _nobody(store)
        marked = withdrawn.select("user_id").withColumn("_changed", F.lit(True))
        judged = judged.join(marked, "user_id", "left").where("_allowed OR _changed")
    values = {f.name: F.when(F.col("_allowed"), F.col(f.name)) for f in work.view.features}
    return judged.withColumns(values)


def _columns(rows: DataFrame, work: _Work) -> DataFrame:
    names = [work.key, *(f.name for f in work.view.features), EVENT_TIMESTAMP.name, CREATED_AT.name]
    return rows.select(*names)
