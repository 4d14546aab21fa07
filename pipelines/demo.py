"""The demonstration: a drawn shop taken the whole way, then what each kind of user gets out of it."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from rich.console import Console
from rich.table import Table as RichTable

from pipelines.consumers.publish import publish_consumer
from pipelines.consumers.worth import worth_table
from pipelines.delta import TableStore
from pipelines.evaluation.publish import publish_evaluation
from pipelines.governance.report import render_report
from pipelines.governance.runs import StepReport
from pipelines.releases.pin import default_release
from pipelines.run import new_run, run_steps, table_store
from pipelines.sample_shop import write_sample_shop
from pipelines.serving.online import read_features
from pipelines.serving.render import render_features
from pipelines.settings import Settings, load_settings
from pipelines.spark import tune_for_small_tables
from pipelines.tables.sources import EVENTS, QUARANTINE, REVIEWS
from pipelines.tags.explain import explain
from pipelines.tags.render import render_explanation
from pipelines.training.training_set import training_set

LABEL_DAYS = 7
SAMPLE_ROWS = 200


@dataclass(frozen=True)
class _Stage:
    """Where the demonstration plays."""

    console: Console
    folder: Path
    settings: Settings
    end: datetime

    def heading(self, text: str) -> None:
        self.console.print()
        self.console.rule(f"[bold]{text}", align="left")


def show_demo(console: Console, users: int, days: int) -> None:
    """Draw a shop, run the main job twice on embedded defaults and show what came of it."""
    # The shop asks for consent before it follows an anonymous device, so its default for what is unknown is allow.
    base = load_settings(consent_default={"personalisation": "allow"})
    folder = base.cache_dir / "demo"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    settings = base.model_copy(update={"home": str(folder / "home")})
    shop = folder / "shop"
    summary = write_sample_shop(shop, users=users, days=days)
    console.print(f"Drew a shop: {summary}", soft_wrap=True, highlight=False)
    stage = _Stage(console, folder, settings, summary.end)
    with table_store(settings, "mmfs demo", may_be_new=True) as store:
        tune_for_small_tables(store.spark)
        _run(stage, shop)
        user = _telling_user(store)
        _show_user(stage, user)
        _show_training_set(stage, store)
        _show_quarantine(stage, store)
        _show_release(stage)
        _show_worth(stage, summary.truth)
    _show_next(stage, shop, user)


def _run(stage: _Stage, shop: Path) -> None:
    stage.heading("The main job")
    run = new_run(stage.settings, stage.end)
    first = run_steps(run, str(shop), announce=lambda step: stage.console.print(f"  {step} …"))
    stage.console.print(render_report(run, first))
    again = run_steps(new_run(stage.settings, stage.end), str(shop))
    stage.console.print(
        f"The same drop again: {_seconds(again):.0f} s instead of {_seconds(first):.0f} s, "
        f"{sum(r.total('encoded') for r in again):.0f} contents encoded, "
        f"{sum(r.total('rows_written') for r in again):.0f} rows written."
    )


def _seconds(reports: Sequence[StepReport]) -> float:
    return sum(f.value for r in reports for f in r.figures if f.measure == "seconds" and f.subject is None)


def _telling_user(store: TableStore) -> str:
    """The user of whom most kinds of behaviour are known."""
    kinds = (
        store.read(EVENTS)
        .groupBy("subject_id")
        .agg(F.countDistinct("event_type").alias("kinds"), F.count("*").alias("events"))
    )
    writers = store.read(REVIEWS).groupBy(F.col("user_id").alias("subject_id")).agg(F.count("*").alias("reviews"))
    best = (
        kinds.join(writers, "subject_id").orderBy(F.desc("kinds"), F.desc("reviews"), F.desc("events"), "subject_id")
    ).first()
    if best is None:
        raise AssertionError("the drawn shop has no user with events and reviews")
    return str(best.subject_id)


def _show_user(stage: _Stage, user: str) -> None:
    stage.heading(f"Online: what a service gets for user {user}")
    found = read_features(stage.settings, user, "recommendation")
    stage.console.print(render_features(found))
    if "personalisation" in found.consents:
        stage.heading("Tags: what is said of the user, and why")
        stage.console.print(render_explanation(explain(stage.settings, user), "en"))


def _show_training_set(stage: _Stage, store: TableStore) -> None:
    stage.heading(f"Point-in-time: who buys within {LABEL_DAYS} days, with features as they were at each moment")
    entities, out = stage.folder / "labels.parquet", stage.folder / "training_set.parquet"
    pq.write_table(_labels(store.read(EVENTS), stage.end), entities)
    report = training_set(store, new_run(stage.settings, stage.end), entities, "risk", out)
    stage.console.print(str(report), soft_wrap=True, highlight=False)
    rows = pq.read_table(out)
    shown = [
        c for c in rows.column_names
        if c in {"user_id", "event_timestamp", "bought"} or c.endswith(("views_7d", "orders_30d", "spend_30d"))
    ]  # fmt: skip
    table = RichTable(*shown)
    for row in rows.select(shown).slice(0, 5).to_pylist():
        table.add_row(*("" if v is None else str(v) for v in row.values()))
    stage.console.print(table)


def _labels(events: DataFrame, end: datetime) -> pa.Table:
    """Moments of active users in the second half of the shop's time, and whether they bought soon after."""
    moments = (
        events.where(F.col("event_timestamp") < F.lit(end - timedelta(days=LABEL_DAYS)))
        .where(~F.col("subject_id").startswith("device:"))
        .groupBy("subject_id")
        .agg(F.max("event_timestamp").alias("moment"))
        .orderBy(F.xxhash64("subject_id"))
        .limit(SAMPLE_ROWS)
    )
    bought = events.where("event_type = 'purchase'").select("subject_id", F.col("event_timestamp").alias("bought_at"))
    soon = F.col("bought_at").between(F.col("moment"), F.col("moment") + F.expr(f"INTERVAL {LABEL_DAYS} DAYS"))
    return (
        moments.join(bought.where(F.col("bought_at").isNotNull()), "subject_id", "left")
        .groupBy(F.col("subject_id").alias("user_id"), F.col("moment").alias("event_timestamp"))
        .agg(F.max(F.coalesce(soon & (F.col("bought_at") > F.col("moment")), F.lit(False))).alias("bought"))
        .toArrow()
    )


def _show_quarantine(stage: _Stage, store: TableStore) -> None:
    stage.heading("Quarantine: rows that broke a rule, kept with the reason")
    table = RichTable("table", "rule", "rows", "for example")
    rows = (
        store.read(QUARANTINE)
        .groupBy("source_table", "rule")
        .agg(F.count("*").alias("rows"), F.min("value").alias("example"))
        .orderBy("source_table", F.desc("rows"), "rule")
    )
    for row in rows.collect():
        table.add_row(row.source_table, row.rule, str(row.rows), (row.example or "")[:50])
    stage.console.print(table)


def _show_release(stage: _Stage) -> None:
    stage.heading("Encoder versions and the release")
    release = default_release(stage.settings)
    table = RichTable("role", "encoder", "version", "dimensions", "checksum", "licence")
    for role, spec in (("clip", release.clip), ("review", release.review)):
        table.add_row(role, spec.name, spec.version, str(spec.dimensions), spec.checksum[:16], spec.licence)
    stage.console.print(f"Release [bold]{release.name}[/bold], default; fused recipe {release.fused_recipe}")
    stage.console.print(table)


def _show_worth(stage: _Stage, truth: Path) -> None:
    stage.heading("What the features are worth: against the planted truth, and to a ranker")
    tastes, _ = publish_evaluation(stage.settings, truth, stage.folder / "evaluation.html")
    learned = publish_consumer(
        stage.settings,
        "next-purchase",
        stage.folder / "next-purchase.html",
        as_of=stage.end,
        horizon_days=LABEL_DAYS,
    )
    stage.console.print(worth_table(tastes, learned.evaluation))


def _show_next(stage: _Stage, shop: Path, user: str) -> None:
    home = stage.settings.home
    commands = (
        f"mmfs evaluate {shop}-truth --home {home}        # what of the shop's planted truth the features hold",
        f"mmfs consumer churn --horizon-days 10 --home {home}        # who will leave; also value, ad-click, …",
        f"mmfs features {user} --service marketing --json --home {home}",
        f"mmfs training-set {stage.folder / 'labels.parquet'} out.parquet --service recommendation --home {home}",
        f"mlflow ui --backend-store-uri sqlite:///{home}/mlflow/mlflow.db",
        "mmfs run YOUR_DROP --home state        # your own shop: docs/sources.md says what a drop holds",
    )
    stage.heading("What to try next")
    for command in commands:
        stage.console.print(f"  .venv/bin/{command}", soft_wrap=True, highlight=False)
