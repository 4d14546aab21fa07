"""The first step: a drop into bronze, quarantine and silver."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.storagelevel import StorageLevel

from pipelines.delta import TableStore
from pipelines.frames import frame_of
from pipelines.governance.home import open_home
from pipelines.governance.runs import Run, StepReport, timed_step
from pipelines.sources import figures
from pipelines.sources.bronze import append_bronze
from pipelines.sources.contract import SOURCES
from pipelines.sources.deduplication import KEPT
from pipelines.sources.drop_files import Drop, open_drop, readable
from pipelines.sources.fingerprint import drop_id
from pipelines.sources.media import hashed_media, named_media
from pipelines.sources.product_contents import product_contents
from pipelines.sources.quarantine import quarantine_rows
from pipelines.sources.readers import SourceRows, read_source
from pipelines.sources.silver import Intake, judged, write_silver
from pipelines.tables.governance import DROPS
from pipelines.tables.sources import MEDIA, PRODUCT_CONTENTS, QUARANTINE

# Products first: the events and reviews of a drop are counted as known by what it brings itself.
_ORDER = ("products", "users", "identities", "events", "reviews", "messages")


@dataclass(frozen=True)
class JudgedSource:
    """A source table of the drop: its bronze rows, and the same with their outcomes."""

    source: str
    bronze: DataFrame
    rows: DataFrame

    @property
    def kept(self) -> DataFrame:
        return self.rows.where(F.col("outcome") == KEPT)


def ingest(store: TableStore, run: Run, drop: str, *, history: bool = False) -> StepReport:
    """Take a drop in. `history`: its rows count as known at their own time; the first drop of a home always is one.

    The same drop again changes nothing. Cut off at any point, the next call with the drop carries on.
    Raises DropNotFoundError or MissingColumnError before anything is written, UnreadableFileError also where damage
    shows only when a table is read.
    """
    with timed_step("ingest") as report:
        opened = open_drop(store.spark, drop)
        identity = drop_id(store.spark, opened)
        taken = store.read(DROPS).select("drop_id").collect()
        if identity in {row.drop_id for row in taken}:
            report.add(None, "already_taken_in", 1, identity)
            return report
        intake = Intake(identity, run.as_of, history or not taken)
        present = [s for s in SOURCES if opened.of(s)]
        with readable(opened):
            sources = [read_source(store.spark, opened, s) for s in sorted(present, key=_ORDER.index)]
            # Only now: a drop that cannot be read leaves no trace of a home.
            open_home(store.settings, create=True)
            report.add(None, "drops", 1, identity)
            for name in opened.ignored:
                report.add(name, "not_a_table", 1)
            _take_in(store, opened, sources, intake, report)
        _record_drop(store, opened, intake)
    return report


def _take_in(store: TableStore, drop: Drop, sources: list[SourceRows], intake: Intake, report: StepReport) -> None:
    tables: list[JudgedSource] = []
    try:
        for source in sources:
            bronze = append_bronze(store, source.source, source.frame, intake.drop_id, intake.as_of)
            rows = judged(store, bronze, source.source, intake).persist(StorageLevel.MEMORY_AND_DISK)
            table = JudgedSource(source.source, bronze, rows)
            tables.append(table)
            figures.add_outcomes(report, source.source, bronze, rows)
            if source.source == "events":
                figures.add_late_events(report, store, table.kept, intake.drop_id)
            write_silver(store, rows, source.source, intake)
        by_source = {t.source: t for t in tables}
        _write_contents(store, drop, by_source, intake, report)
        figures.add_unknown_columns(report, {t.source: t.bronze for t in tables})
        figures.add_unknown_products(report, store, {t.source: t.kept for t in tables})
        _write_quarantine(store, tables, intake)
    finally:
        for table in tables:
            table.rows.unpersist()


def _write_contents(
    store: TableStore, drop: Drop, tables: dict[str, JudgedSource], intake: Intake, report: StepReport
) -> None:
    """Media of the drop's new product versions and reviews, then the contents of those versions."""
    kept = [tables[s].kept for s in ("products", "reviews") if s in tables]
    if not kept:
        return
    hashed = hashed_media(named_media(kept), drop.location, store.settings)
    store.append_once(hashed.withColumn("drop_id", F.lit(intake.drop_id)), MEDIA, intake.drop_id)
    media = store.read(MEDIA).where(F.col("drop_id") == intake.drop_id)
    figures.add_media(report, media)
    if "products" in tables:
        store.append_once(product_contents(tables["products"].kept, media), PRODUCT_CONTENTS, intake.drop_id)
        figures.add_contents(report, store.read(PRODUCT_CONTENTS).where(F.col("drop_id") == intake.drop_id))


def _write_quarantine(store: TableStore, tables: list[JudgedSource], intake: Intake) -> None:
    rows = reduce(DataFrame.unionByName, (quarantine_rows(t.rows, t.source) for t in tables))
    store.append_once(rows, QUARANTINE, intake.drop_id)


def _record_drop(store: TableStore, drop: Drop, intake: Intake) -> None:
    # Last of all: only a drop that is recorded counts as taken in.
    row = [(intake.drop_id, drop.location, intake.as_of, intake.history, intake.as_of)]
    store.append_once(frame_of(store.spark, row, DROPS.ddl), DROPS, intake.drop_id)
