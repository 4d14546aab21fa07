"""What the system remembers of its own work."""

from __future__ import annotations

from pipelines.tables.schema import DROP_ID, Column, Table

_RUN_ID = Column("run_id", "string", "id of the run")
_AS_OF = Column("as_of", "timestamp", "UTC time of the run, as set")

DROPS = Table(
    name="drops",
    layer="governance",
    comment="Drops taken in, one row each.",
    columns=(
        DROP_ID,
        Column("source", "string", "where the drop was read from"),
        _AS_OF,
        Column("history", "boolean", "a first load or a declared import: rows count as known at their own time"),
        Column("ingested_at", "timestamp", "UTC time of the run that took it in"),
    ),
    keys=("drop_id",),
)

PROGRESS = Table(
    name="progress",
    layer="governance",
    comment="Batches of work per job: what was begun, with which time, and whether it was finished.",
    columns=(
        Column("job", "string", "features, materialise, …"),
        Column("batch_id", "string", "hash of the job, its drops and its time: the Delta transaction's identity"),
        Column("drop_ids", "array<string>", "drops the batch takes in, possibly none"),
        _AS_OF,
        Column("history", "boolean", "see drops"),
        Column("state", "string", "started or finished"),
        Column("written_at", "timestamp", "UTC wall clock"),
    ),
    keys=("job", "batch_id", "state"),
)

MATERIALISED = Table(
    name="materialised",
    layer="governance",
    comment="How far each feature view was taken into each online store; the newest row holds.",
    columns=(
        Column("view", "string", "feature view"),
        Column("online_store", "string", "hash of the online store's type and place"),
        Column("table_version", "bigint", "Delta version of the history up to which rows were taken in"),
        _AS_OF,
        Column("rows_ahead", "boolean", "that version held rows with an event_timestamp after as_of"),
        Column("written_at", "timestamp", "UTC wall clock"),
    ),
    keys=("view", "online_store", "written_at"),
)

RUN_REPORT = Table(
    name="run_report",
    layer="governance",
    comment="Every run's counts and times.",
    columns=(
        _RUN_ID,
        _AS_OF,
        Column("step", "string", "ingest, encode, features, apply or materialise"),
        Column("subject", "string", "table, modality or view the figure is about; null for the step as a whole"),
        Column("measure", "string", "rows_in, kept, duplicates, quarantined, encoded, from_cache, failed, rows_written, seconds, …"),
        Column("reason", "string", "rule or reason, null for totals"),
        Column("value", "double", "the figure"),
        Column("written_at", "timestamp", "UTC wall clock"),
    ),
    keys=(),
)  # fmt: skip
