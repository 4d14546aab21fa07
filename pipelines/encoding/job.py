"""The encoding step: contents that have no row yet get one, by one fused job per encoder.

Cost ∝ new contents. On a cluster decoding and the model dominate: give tasks `spark.task.cpus` cores, each worker
runs that many torch threads. A hot product or picture weighs nothing, for every content is encoded once.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager

from pyspark.errors import PySparkException
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from encoders.spec import EncoderSpec
from pipelines.delta import TableStore
from pipelines.encoding.contents import MEMBER_MODALITY, MODALITIES, contents_for
from pipelines.encoding.judging import judge_texts
from pipelines.encoding.pooling import pooled, to_pool
from pipelines.encoding.vectors import embedding_vectors, embeddings_of
from pipelines.encoding.worker import RESULT, encoding_function
from pipelines.errors import EncoderUnusableError
from pipelines.governance.progress import finish, pending_batches
from pipelines.governance.runs import Run, StepReport, timed_step
from pipelines.releases.manifest import Release
from pipelines.tables.aggregates import EMBEDDINGS
from pipelines.tables.sources import PRODUCT_CONTENTS

# Contents per commit: what a crash can cost.
CHUNK = 50_000
# Below this a task is not worth a loaded model; above it, more tasks even out slow videos and long texts.
CONTENTS_PER_TASK = 64
TASKS_PER_CORE = 4
# Failures that say nothing about the content. Others are final: the same bytes would fail again.
TRANSIENT = ("timeout", "decoder_crashed", "missing", "unreadable", "changed")
MAX_ATTEMPTS = 3
_KEYS = ["content_hash", "modality"]


def encode(store: TableStore, run: Run, *releases: Release) -> StepReport:
    """Give every content of the drops not yet taken in a row in features.embeddings: a vector, or why not, by every
    encoder of the releases; then every text a row in features.text_judgements, by every head.

    Contents that failed for a transient reason are tried again, once a run and three times in all. Without
    anything to do no worker is started and no table written. Raises EncoderUnusableError where an encoder cannot
    be loaded or gives other dimensions than its spec says.
    """
    with timed_step("encode") as report:
        # Releases share encoders: each works once.
        parts = {(part, spec.key): spec for release in releases for part, spec in release.encoders.items()}
        judged = {release.review.key for release in releases if release.heads}
        for (part, key), spec in parts.items():
            _encode_part(store, run, part, spec, report, with_clauses=part == "review" and key in judged)
        for heads in {release.heads.key: release for release in releases if release.heads}.values():
            judge_texts(store, run, heads, report)
    return report


def encode_job(key: str, *, with_clauses: bool = False) -> str:
    """Name of the job that encodes with an encoder's version; with clauses it is another, which takes in every drop
    from the first on."""
    return f"encode/{key}" + ("/clauses" if with_clauses else "")


def _encode_part(
    store: TableStore, run: Run, part: str, spec: EncoderSpec, report: StepReport, *, with_clauses: bool
) -> None:
    # A new encoder version is a new job: it takes in every drop from the first on.
    job = encode_job(spec.key, with_clauses=with_clauses)
    batches = [b for b in pending_batches(store, job, run) if b.drop_ids]
    drop_ids = sorted({d for batch in batches for d in batch.drop_ids})
    retries = _retries(store, run, part, spec)
    if drop_ids:
        contents = contents_for(store, part, drop_ids, with_clauses=with_clauses)
        _encode_new(store, run, part, spec, contents, report)
    else:
        _report_known(store, part, spec, report)
    if retries is not None:
        _encode_again(store, run, spec, retries, report)
    if part == "clip" and (drop_ids or retries is not None):
        _pool(store, run, spec, report)
    for batch in batches:
        finish(store, batch)


def _retries(store: TableStore, run: Run, part: str, spec: EncoderSpec) -> DataFrame | None:
    """Contents to try again, with the attempts they have had; None where there are none."""
    attempts = F.coalesce(F.try_element_at("details", F.lit("attempts")).cast("int"), F.lit(1))
    failed = (
        embeddings_of(store, spec.name, spec.version, MODALITIES[part])
        .where((F.col("status") == "failed") & F.col("reason").isin(*TRANSIENT) & (F.col("created_at") < run.as_of))
        .select(*_KEYS, attempts.alias("attempts"))
        .where(F.col("attempts") < MAX_ATTEMPTS)
    )
    if failed.isEmpty():
        return None
    return contents_for(store, part, None).join(failed, _KEYS)


def _encode_new(
    store: TableStore, run: Run, part: str, spec: EncoderSpec, contents: DataFrame, report: StepReport
) -> None:
    # Spark drops what it keeps of a table when that is written: without a version, the contents would be gone then.
    known = embeddings_of(store, spec.name, spec.version, MODALITIES[part], store.version(EMBEDDINGS))
    contents = contents.join(known.select(*_KEYS, F.lit(True).alias("known")), _KEYS, "left")
    contents = contents.withColumn("attempts", F.lit(0)).persist()
    try:
        counts = contents.groupBy("modality", F.col("known").isNotNull().alias("known")).count().collect()
        for row in counts:
            if row["known"]:
                report.add(row["modality"], "from_cache", row["count"])
        total = sum(row["count"] for row in counts if not row["known"])
        if total:
            _encode_chunks(store, run, spec, contents.where("known IS NULL").drop("known"), total)
            _report_results(store, part, spec, contents.where("known IS NULL"), report)
    finally:
        contents.unpersist()


def _encode_chunks(store: TableStore, run: Run, spec: EncoderSpec, contents: DataFrame, total: int) -> None:
    """One commit per chunk: after a crash only what was not committed is encoded."""
    chunks = math.ceil(total / CHUNK)
    key = F.xxhash64(*_KEYS)
    chunk = F.pmod(key, F.lit(chunks)).cast("int")
    sums = contents.groupBy(chunk.alias("chunk")).agg(F.count(F.lit(1)).alias("size"), F.bit_xor(key).alias("keys"))
    for row in sorted(sums.collect(), key=lambda r: r["chunk"]):
        # The id follows from what is encoded, so a repeated commit changes nothing.
        identity = f"{spec.key}|{row['size']}|{row['keys']}"
        rows = _encoded(store, run, spec, contents.where(chunk == row["chunk"]), row["size"])
        with _encoder_errors(spec):
            # One file for each modality instead of one for each task.
            transaction = hashlib.sha256(identity.encode()).hexdigest()[:16]
            store.append_once(rows.repartition("modality"), EMBEDDINGS, transaction)


def _encode_again(store: TableStore, run: Run, spec: EncoderSpec, retries: DataFrame, report: StepReport) -> None:
    rows = _encoded(store, run, spec, retries, retries.count()).persist()
    try:
        with _encoder_errors(spec):
            results = rows.groupBy("modality", "status", "reason").count().collect()
        store.upsert(rows, EMBEDDINGS, pruning=_partitions(spec))
    finally:
        rows.unpersist()
    for row in results:
        report.add(row["modality"], "encoded" if row["status"] == "ok" else "failed", row["count"], row["reason"])


def _pool(store: TableStore, run: Run, spec: EncoderSpec, report: StepReport) -> None:
    members = embedding_vectors(store, spec.name, spec.version, tuple(MEMBER_MODALITY.values()))
    known = embeddings_of(store, spec.name, spec.version, tuple(MEMBER_MODALITY))
    rows = _of_encoder(pooled(to_pool(store.read(PRODUCT_CONTENTS), known, members)), run, spec).persist()
    try:
        results = rows.groupBy("modality", "status", "reason").count().collect()
        if results:
            store.upsert(rows, EMBEDDINGS, pruning=_partitions(spec))
    finally:
        rows.unpersist()
    for row in results:
        report.add(row["modality"], "encoded" if row["status"] == "ok" else "failed", row["count"], row["reason"])


def _encoded(store: TableStore, run: Run, spec: EncoderSpec, contents: DataFrame, size: int) -> DataFrame:
    context = store.spark.sparkContext
    tasks = min(math.ceil(size / CONTENTS_PER_TASK), context.defaultParallelism * TASKS_PER_CORE)
    threads = int(context.getConf().get("spark.task.cpus", "1") or 1)
    function = encoding_function(spec, threads, run.settings.cache_dir)
    inputs = contents.select(*_KEYS, "paths", "text", "attempts").repartition(max(tasks, 1))
    return _of_encoder(inputs.mapInArrow(function, RESULT), run, spec)


def _of_encoder(rows: DataFrame, run: Run, spec: EncoderSpec) -> DataFrame:
    return rows.withColumns(
        {
            "encoder": F.lit(spec.name),
            "encoder_version": F.lit(spec.version),
            "created_at": F.lit(run.as_of),
        }
    )


def _partitions(spec: EncoderSpec) -> str:
    name, version = (text.replace("\\", "\\\\").replace("'", "\\'") for text in (spec.name, spec.version))
    return f"t.encoder = '{name}' AND t.encoder_version = '{version}'"


def _report_results(store: TableStore, part: str, spec: EncoderSpec, keys: DataFrame, report: StepReport) -> None:
    rows = embeddings_of(store, spec.name, spec.version, MODALITIES[part])
    results = rows.join(keys.select(*_KEYS), _KEYS, "left_semi").groupBy("modality", "status", "reason").count()
    for row in results.collect():
        report.add(row["modality"], "encoded" if row["status"] == "ok" else "failed", row["count"], row["reason"])


def _report_known(store: TableStore, part: str, spec: EncoderSpec, report: StepReport) -> None:
    rows = embeddings_of(store, spec.name, spec.version, MODALITIES[part])
    for row in rows.groupBy("modality").count().collect():
        report.add(row["modality"], "from_cache", row["count"])


@contextmanager
def _encoder_errors(spec: EncoderSpec) -> Iterator[None]:
    """An encoder that cannot be used, said in one line instead of a worker's traceback."""
    try:
        yield
    except PySparkException as error:
        said = re.search(r"encoders\.errors\.\w+: (.+)", str(error))
        if said is None:
            raise
        raise EncoderUnusableError(f"encoder {spec.key}: {said.group(1).strip()}") from error
