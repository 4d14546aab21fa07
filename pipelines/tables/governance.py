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

ANSWERS = Table(
    name="answers",
    layer="governance",
    comment="A sample of what was answered online, a row per id; of a ranking question one for the user, and one per candidate. Nobody who refuses the service's purpose is in it.",
    columns=(
        Column("answer_id", "string", "the same in all rows of one answer"),
        Column("place", "int", "place of the id in the question, from 0; -1: the user of a ranking question"),
        Column("asked_at", "timestamp", "UTC wall clock before anything was read"),
        Column("service", "string", "use that was asked for; null for a list of features"),
        Column("release", "string", "release that every value is of"),
        Column("purposes", "array<string>", "purposes that the subject had to allow; empty where no person is concerned"),
        Column("subject_id", "string", "subject key; null where products alone were asked for"),
        Column("product_id", "string", "product; null in rows about the subject alone"),
        Column("shape", "string", "hash of the names in the row: rows of one shape have the same, in the same order"),
        Column("numbers", "map<string,double>", "by <view>__<feature>, null unless present; bools as 0 and 1, instants as microseconds since 1970 UTC"),
        Column("vectors", "map<string,array<float>>", "the same"),
        Column("texts", "map<string,array<string>>", "the same; a single text is a list of one"),
        Column("event_timestamps", "map<string,timestamp>", "by view, null where there was no row"),
        Column("log_file", "string", "file of the server's that brought the row"),
    ),
    keys=("answer_id", "place"),
    cluster_by=("asked_at",),
    retention_days=7,
)  # fmt: skip
