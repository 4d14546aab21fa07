"""What reviews say, by the release's heads: features.review_judgements.

Cost ∝ new reviews. Vectors of whole reviews come from the cache; clauses are encoded here and not kept.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from encoders.heads.judge import Heads, Judgement
from encoders.load import Encoder
from encoders.spec import EncoderSpec
from pipelines.delta import TableStore
from pipelines.encoding.held_encoder import encoder_in_use
from pipelines.encoding.vectors import embedding_vectors
from pipelines.governance.progress import finish, pending_batches
from pipelines.governance.runs import Run, StepReport
from pipelines.releases.manifest import Release
from pipelines.sources.texts import review_content
from pipelines.tables.aggregates import REVIEW_JUDGEMENTS
from pipelines.tables.sources import REVIEWS

_RESULT = (
    "review_id string, sentiment string, score double, aspects_praised array<string>, aspects_blamed array<string>"
)
_ARROW_RESULT = pa.schema(
    [
        ("review_id", pa.string()),
        ("sentiment", pa.string()),
        ("score", pa.float64()),
        ("aspects_praised", pa.list_(pa.string())),
        ("aspects_blamed", pa.list_(pa.string())),
    ]
)
# Below this a task is not worth a loaded encoder.
_REVIEWS_PER_TASK = 128
_REVIEWS_AT_ONCE = 256


def judge_reviews(store: TableStore, run: Run, release: Release, report: StepReport) -> None:
    """Judge every review that has a vector and no judgement by the release's heads; without heads nothing is done.

    A review that got its vector after its drop was worked on is judged with the next drop.
    """
    if not release.heads:
        return
    name, version = release.encoder_for("opinions")
    batches = [batch for batch in pending_batches(store, f"judge/{name}-{version}", run) if batch.drop_ids]
    if not batches:
        return
    todo = _unjudged(store, release, name, version).persist()
    try:
        count = todo.count()
        if count:
            tasks = min(-(-count // _REVIEWS_PER_TASK), store.spark.sparkContext.defaultParallelism)
            rows = _judged(store, run, release.review, todo.repartition(tasks)).withColumns(
                {"encoder": F.lit(name), "encoder_version": F.lit(version), "created_at": F.lit(run.as_of)}
            )
            drops = "|".join(sorted(drop for batch in batches for drop in batch.drop_ids))
            transaction = hashlib.sha256(f"{name}|{version}|{drops}".encode()).hexdigest()[:16]
            store.append_once(rows.coalesce(1), REVIEW_JUDGEMENTS, transaction)
    finally:
        todo.unpersist()
    report.add(REVIEW_JUDGEMENTS.name, "rows_written", count)
    for batch in batches:
        finish(store, batch)


def _unjudged(store: TableStore, release: Release, name: str, version: str) -> DataFrame:
    """review_id, text and vector."""
    known = store.read(REVIEW_JUDGEMENTS).where((F.col("encoder") == name) & (F.col("encoder_version") == version))
    vectors = embedding_vectors(store, *release.encoder_for("review"), ("review",)).select("content_hash", "vector")
    reviews = store.read(REVIEWS).where(F.col("content_hash").isNotNull())
    new = reviews.join(known.select("review_id"), "review_id", "left_anti")
    text = review_content(F.col("title"), F.col("text")).alias("text")
    return new.select("review_id", "content_hash", text).join(vectors, "content_hash").drop("content_hash")


def _judged(store: TableStore, run: Run, spec: EncoderSpec, todo: DataFrame) -> DataFrame:
    threads = int(store.spark.sparkContext.getConf().get("spark.task.cpus", "1") or 1)
    return todo.mapInArrow(judging_function(spec, threads, run.settings.cache_dir), _RESULT)


def judging_function(
    spec: EncoderSpec, threads: int, cache_dir: Path
) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """The function for `mapInArrow` over (review_id, text, vector), giving `_RESULT`."""

    def judge_batches(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        heads = None
        with encoder_in_use(spec, threads, cache_dir) as encoder:
            for batch in batches:
                for start in range(0, batch.num_rows, _REVIEWS_AT_ONCE):
                    heads = heads or Heads(spec)
                    yield _judge(batch.slice(start, _REVIEWS_AT_ONCE), heads, encoder())

    return judge_batches


def _judge(batch: pa.RecordBatch, heads: Heads, encoder: Encoder) -> pa.RecordBatch:
    vectors = np.frombuffer(b"".join(batch.column("vector").to_pylist()), "<f4").reshape(batch.num_rows, -1)
    judgements = heads.judge(batch.column("text").to_pylist(), vectors, encoder)
    ids = batch.column("review_id").to_pylist()
    rows = [_row(review, judgement) for review, judgement in zip(ids, judgements, strict=True)]
    return pa.RecordBatch.from_pylist(rows, schema=_ARROW_RESULT)


def _row(review_id: str, judgement: Judgement) -> dict[str, object]:
    return {
        "review_id": review_id,
        "sentiment": judgement.sentiment,
        "score": judgement.score,
        "aspects_praised": list(judgement.praised),
        "aspects_blamed": list(judgement.blamed),
    }
