"""From the servers' files into the table `answers`; and who or what must be forgotten leaves it."""

from __future__ import annotations

import hashlib
from datetime import timedelta

from pyspark.sql import functions as F

from pipelines.answers.files import AnswerFiles
from pipelines.delta import TableStore
from pipelines.governance.runs import Run
from pipelines.identity.tombstones import without_erased
from pipelines.tables.governance import ANSWERS
from pipelines.tables.sources import TOMBSTONES


def take_in_answers(store: TableStore, run: Run) -> int:
    """Move what servers logged into the table, without the erased, whose earlier rows go; returns the files moved.

    Rows older than `answer_days` go as well. A cut-off call is made good by the next: a file is deleted when the
    table has it, and is not taken in twice.
    """
    files = AnswerFiles(run.settings)
    names = files.names()
    known = {row.log_file for row in store.read(ANSWERS).select("log_file").distinct().collect()} if names else set()
    if fresh := [name for name in names if name not in known]:
        rows = store.spark.read.schema(ANSWERS.ddl).parquet(*(f"{files.location}/{name}" for name in fresh))
        transaction = hashlib.sha256("\n".join(fresh).encode()).hexdigest()
        store.append_once(without_erased(rows, store.read(TOMBSTONES)), ANSWERS, transaction)
    files.delete(names)
    _forget(store, run)
    return len(fresh)


def _forget(store: TableStore, run: Run) -> None:
    """Delete rows of the erased, and those that were kept long enough."""
    answers = store.read(ANSWERS)
    erased = store.read(TOMBSTONES).select("subject_id").distinct()
    # Looking costs a part of what deleting nothing would.
    if not answers.join(erased, "subject_id", "left_semi").isEmpty():
        store.delete_of(ANSWERS, erased, "subject_id")
    oldest = run.as_of - timedelta(days=run.settings.answer_days)
    if not answers.where(F.col("asked_at") < F.lit(oldest)).isEmpty():
        store.delete_where(ANSWERS, f"asked_at < TIMESTAMP '{oldest.isoformat()}'")
