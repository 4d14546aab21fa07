"""What texts say, by a release's heads: features.text_judgements.

Cost ∝ new texts. Vectors of texts and of their clauses are there already, so nothing is encoded and no model loaded;
they meet in one shuffle of a few kilobytes a text. A text is judged once by each version of heads, whoever wrote it
how often.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from encoders.heads.clauses import Clause
from encoders.heads.judge import Heads, parts_of
from encoders.heads.judgement import Judgement
from encoders.heads.spec import HeadsSpec
from pipelines.delta import TableStore
from pipelines.encoding.contents import contents_for
from pipelines.encoding.vectors import embedding_vectors
from pipelines.features.whole_groups import whole_groups
from pipelines.governance.progress import finish, pending_batches
from pipelines.governance.runs import Run, StepReport
from pipelines.releases.manifest import Release
from pipelines.tables.aggregates import TEXT_JUDGEMENTS
from pipelines.tables.arrow_types import arrow_schema

_MADE = tuple(c for c in TEXT_JUDGEMENTS.columns if c.name not in ("encoder", "encoder_version", "created_at"))
_RESULT = ", ".join(f"{c.name} {c.type}" for c in _MADE)
_ARROW_RESULT = pa.schema([arrow_schema(TEXT_JUDGEMENTS).field(c.name) for c in _MADE])
# A text and its clauses: content_hash is the text's, unit_hash what the vector is kept under, place -1 the text's own.
_UNITS = "content_hash string, unit_hash string, place int, text string, start int, end int"
_ARROW_UNITS = pa.schema(
    [
        ("content_hash", pa.string()),
        ("unit_hash", pa.string()),
        ("place", pa.int32()),
        ("text", pa.string()),
        ("start", pa.int32()),
        ("end", pa.int32()),
    ]
)
_ROWS_AT_ONCE = 2048


def judging_job(key: str) -> str:
    """Name of the job that judges with a version of heads."""
    return f"judge/{key}"


def judge_texts(store: TableStore, run: Run, release: Release, report: StepReport) -> None:
    """Judge every text of the drops not yet taken in that has a vector and no judgement by the release's heads.

    Raises EncoderError where the heads cannot be loaded.
    """
    heads = release.heads
    if heads is None:
        return
    batches = [batch for batch in pending_batches(store, judging_job(heads.key), run) if batch.drop_ids]
    if not batches:
        return
    drop_ids = sorted({drop for batch in batches for drop in batch.drop_ids})
    rows = _judged(store, release, heads, _unjudged(store, heads, drop_ids)).withColumns(
        {"encoder": F.lit(heads.name), "encoder_version": F.lit(heads.version), "created_at": F.lit(run.as_of)}
    )
    rows = rows.coalesce(store.spark.sparkContext.defaultParallelism).persist()
    try:
        count = rows.count()
        if count:
            transaction = hashlib.sha256("|".join([heads.key, *drop_ids]).encode()).hexdigest()[:16]
            store.append_once(rows.coalesce(1), TEXT_JUDGEMENTS, transaction)
    finally:
        rows.unpersist()
    report.add(TEXT_JUDGEMENTS.name, "rows_written", count)
    for batch in batches:
        finish(store, batch)


def _unjudged(store: TableStore, heads: HeadsSpec, drop_ids: list[str]) -> DataFrame:
    """content_hash and text."""
    known = store.read(TEXT_JUDGEMENTS).where(
        (F.col("encoder") == heads.name) & (F.col("encoder_version") == heads.version)
    )
    texts = contents_for(store, "review", drop_ids).select("content_hash", "text")
    return texts.join(known.select("content_hash"), "content_hash", "left_anti")


def _judged(store: TableStore, release: Release, heads: HeadsSpec, texts: DataFrame) -> DataFrame:
    vectors = embedding_vectors(store, *release.encoder_for("review"), ("review", "clause"))
    # A clause that is somebody's whole text has two vectors, which are the same.
    once = vectors.groupBy(F.col("content_hash").alias("unit_hash")).agg(F.max("vector").alias("vector"))
    units = texts.mapInArrow(_cut, _UNITS).join(once, "unit_hash")
    owner = units.withColumn("owner", F.xxhash64("content_hash")).repartition("owner")
    return owner.sortWithinPartitions("owner", "content_hash", "place").mapInArrow(judging_function(heads), _RESULT)


def _cut(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        rows = []
        for content, text in zip(batch["content_hash"].to_pylist(), batch["text"].to_pylist(), strict=True):
            parts = parts_of(text)
            rows.append((content, content, -1, text, 0, len(text)))
            for place, part in enumerate(parts):
                own = content if len(parts) == 1 else hashlib.sha256(part.text.encode()).hexdigest()
                rows.append((content, own, place, part.text, part.start, part.end))
        columns = list(zip(*rows, strict=True)) or [()] * len(_ARROW_UNITS)
        yield pa.RecordBatch.from_arrays(
            [pa.array(values, field.type) for values, field in zip(columns, _ARROW_UNITS, strict=True)],
            schema=_ARROW_UNITS,
        )


def judging_function(heads: HeadsSpec) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """The function for `mapInArrow` over whole texts: their units with `vector` and `owner`, in order; `_RESULT`."""

    def judge_batches(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        loaded = None
        for table in whole_groups(batches, key="owner", rows=_ROWS_AT_ONCE):
            loaded = loaded or Heads(heads)
            yield from _judge(table, loaded).to_batches()

    return judge_batches


def _judge(units: pa.Table, heads: Heads) -> pa.Table:
    """A text without a vector of its own is left out; a clause without one counts for nothing."""
    vectors = np.frombuffer(b"".join(units["vector"].to_pylist()), "<f4").reshape(units.num_rows, -1)
    hashes: list[str] = []
    texts: list[str] = []
    parts: list[list[Clause]] = []
    whole: list[int] = []
    of_clauses: list[int] = []
    for row, unit in enumerate(units.select(["content_hash", "place", "text", "start", "end"]).to_pylist()):
        if unit["place"] < 0:
            hashes.append(unit["content_hash"])
            texts.append(unit["text"])
            parts.append([])
            whole.append(row)
        elif hashes and hashes[-1] == unit["content_hash"]:
            parts[-1].append(Clause(unit["text"], unit["start"], unit["end"]))
            of_clauses.append(row)
    found = heads.judge_parts(texts, parts, vectors[whole], vectors[of_clauses]) if texts else []
    rows = [_row(content, judgement) for content, judgement in zip(hashes, found, strict=True)]
    return pa.Table.from_pylist(rows, schema=_ARROW_RESULT)


def _row(content: str, judgement: Judgement) -> dict[str, object]:
    return {
        "content_hash": content,
        "label": judgement.label,
        "sentiment": judgement.sentiment,
        "confidence": judgement.confidence,
        "language": judgement.language,
        "opinions": [
            {
                "aspect": opinion.aspect,
                "polarity": opinion.polarity,
                "confidence": opinion.confidence,
                "quote": opinion.clause.text,
                "start": opinion.clause.start,
                "end": opinion.clause.end,
            }
            for opinion in judgement.opinions
        ],
    }
