"""The main job: ingest → encode → features → apply → materialise, together or one step at a time."""

from __future__ import annotations

import signal
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from datetime import UTC, datetime

from pipelines.delta import TableStore
from pipelines.errors import HomeEmptyError
from pipelines.governance.home import open_home
from pipelines.governance.report import store_report
from pipelines.governance.runs import Run, StepReport
from pipelines.governance.writing import only_writer
from pipelines.releases.bootstrap import pin_first_release, planned_release
from pipelines.releases.manifest import Release
from pipelines.releases.pin import live_releases
from pipelines.settings import Settings
from pipelines.sources.drop_files import require_folder

STEPS = ("ingest", "encode", "features", "apply", "materialise")


def new_run(settings: Settings, as_of: datetime | None = None) -> Run:
    """A run at the given time (aware; default: now)."""
    moment = (as_of or datetime.now(UTC)).astimezone(UTC)
    return Run(settings, moment, f"{moment:%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:8]}")


@contextmanager
def table_store(settings: Settings, application: str, *, may_be_new: bool = False) -> Iterator[TableStore]:
    """The home's tables through a Spark session. A home in which nothing was run is an error unless it may be new."""
    with suppress(HomeEmptyError) if may_be_new else nullcontext():
        open_home(settings, create=False)
    # Imported late: a wrong home is told before torch is loaded and a JVM started.
    from encoders.load import WORKER_ENVIRONMENT
    from pipelines.spark import spark_session

    on_interrupt = signal.getsignal(signal.SIGINT)
    spark = spark_session(settings, application, WORKER_ENVIRONMENT)
    # PySpark's own handler calls the JVM in the midst of the call it interrupts, which fails loudly.
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, on_interrupt)
    yield TableStore(spark, settings)


def run_steps(
    run: Run,
    drop: str | None = None,
    *,
    steps: Sequence[str] = STEPS,
    history: bool = False,
    announce: Callable[[str], None] = lambda step: None,
) -> list[StepReport]:
    """Run the steps in order and keep their report. Every step is idempotent: repeat the command after a failure.

    `drop` is needed by ingest alone. `history` declares the drop an import of history: its rows count as known at
    their own time (the first drop of a home always is one).
    """
    if drop is not None:
        require_folder(drop)
    # An encoder that cannot be used is told before a row is written.
    release = planned_release(run.settings)
    application = f"mmfs {' '.join(steps)}"
    with table_store(run.settings, application, may_be_new="ingest" in steps) as store, only_writer(run.settings):
        from pipelines.stream.pieces import close_pieces

        reports = []
        for step in steps:
            announce(step)
            if step != "ingest":
                pin_first_release(run.settings, release)
            if step in ("encode", "features"):
                # What a stream brought is to be encoded and counted with the rest.
                close_pieces(store, run)
            reports.append(_run_step(store, run, step, drop, history))
        announce("report")
        store_report(store, run, reports)
        _log_to_mlflow(run, release, reports)
    return reports


def _run_step(store: TableStore, run: Run, step: str, drop: str | None, history: bool) -> StepReport:
    if step == "ingest":
        from pipelines.sources.ingest import ingest

        return ingest(store, run, drop or "", history=history)
    if step == "encode":
        from pipelines.encoding.job import encode

        return encode(store, run, *live_releases(run.settings))
    if step == "features":
        from pipelines.features.build import build_features

        return build_features(store, run, *live_releases(run.settings))
    if step == "apply":
        from pipelines.serving.repo import apply

        return apply(run.settings, run, live_releases(run.settings))
    from pipelines.serving.materialise import materialise

    return materialise(store, run)


def _log_to_mlflow(run: Run, release: Release, reports: list[StepReport]) -> None:
    from pipelines.releases.registry import log_run

    pin_first_release(run.settings, release)
    log_run(run, reports, release, run.settings)
