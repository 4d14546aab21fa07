"""`mmfs skew`: a sample of logged answers, each compared with what is known offline of its moment and release."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from pipelines.answers.comparing import Mask, differing
from pipelines.answers.explaining import Asked, Explanations
from pipelines.answers.offline import OfflineFeatures
from pipelines.answers.rows import SIMILARITY
from pipelines.answers.shapes import Shape, columns_of, shapes_of, without_names
from pipelines.answers.skew_report import EXAMPLES, Example, SkewReport
from pipelines.answers.take_in import take_in_answers
from pipelines.delta import TableStore
from pipelines.errors import UnknownReleaseError
from pipelines.governance.runs import Run
from pipelines.serving.arrow_stream import arrow_batches
from pipelines.serving.repo import feature_store
from pipelines.tables.governance import ANSWERS
from pipelines.training.withheld import withheld

WITHHELD = "consent withdrawn or erased"
RELEASE_GONE = "release gone"


def check_skew(store: TableStore, run: Run, rows: int, since: datetime | None = None) -> SkewReport:
    """Take in what servers logged, and compare a sample of at most so many rows asked for since a time.

    The sample is the same whenever the same answers are there. Whoever withdrew consent meanwhile is passed over.
    """
    report = SkewReport(taken_in=take_in_answers(store, run))
    sample = _sample(store, rows, since).persist()
    try:
        shapes = shapes_of(sample)
        gone = _withheld(store, run, sample)
        explanations = Explanations(store, feature_store(run.settings), run.settings.serve.kept_seconds)
        known: dict[str, OfflineFeatures | None] = {}
        for release, shape, part in _parts(sample):
            report.passed_over[WITHHELD] += len(part)
            part = part.filter(_kept(part, gone))
            report.passed_over[WITHHELD] -= len(part)
            if release not in known:
                known[release] = _offline(run, release)
            offline = known[release]
            if offline is None:
                report.passed_over[RELEASE_GONE] += len(part)
            elif len(part):
                _compare(Asked(release, part, offline), shapes[shape], explanations, report)
    finally:
        sample.unpersist()
    return report


def _sample(store: TableStore, rows: int, since: datetime | None) -> DataFrame:
    answers = store.read(ANSWERS).where(F.col("release").isNotNull())
    if since is not None:
        answers = answers.where(F.col("asked_at") >= F.lit(since))
    return answers.orderBy(F.xxhash64("answer_id", "place")).limit(rows)


def _withheld(store: TableStore, run: Run, sample: DataFrame) -> dict[str, set[str]]:
    """By purpose the subjects of the sample who do not allow it now, or were erased."""
    asked = sample.where(F.col("subject_id").isNotNull())
    pairs = asked.select("subject_id", F.explode("purposes").alias("purpose")).distinct().toArrow()
    found = {}
    for purpose in pairs.column("purpose").unique().to_pylist():
        keys = pairs.filter(pc.equal(pairs.column("purpose"), purpose)).column("subject_id").combine_chunks()
        found[purpose] = set(withheld(store, run, keys, purpose).keys)
    return found


def _kept(part: pa.Table, gone: dict[str, set[str]]) -> pa.Array:
    subjects, purposes = (part.column(name).to_pylist() for name in ("subject_id", "purposes"))
    return pa.array(
        [not any(subject in gone.get(p, ()) for p in asked) for subject, asked in zip(subjects, purposes, strict=True)]
    )


def _offline(run: Run, release: str) -> OfflineFeatures | None:
    try:
        return OfflineFeatures(run.settings, release)
    except UnknownReleaseError:
        return None


def _parts(sample: DataFrame) -> Iterator[tuple[str, str, pa.Table]]:
    """Rows of one release and shape at a time; together a part of them, as much as a batch holds."""
    for batch in arrow_batches(without_names(sample).orderBy("release", "shape", "asked_at")):
        table = pa.table(batch)
        for pair in table.select(["release", "shape"]).group_by(["release", "shape"]).aggregate([]).to_pylist():
            same = pc.and_(
                pc.equal(table.column("release"), pair["release"]), pc.equal(table.column("shape"), pair["shape"])
            )
            yield pair["release"], pair["shape"], table.filter(same)


def _compare(asked: Asked, shape: Shape, explanations: Explanations, report: SkewReport) -> None:
    """Count what differs, view by view, and why it may."""
    rows, offline = asked.rows, asked.offline
    online = dict(columns_of(rows, shape))
    wanted = shape.features()
    similarities = wanted.pop(SIMILARITY, [])
    known = offline.features(wanted, rows)
    report.rows += len(rows)
    for view, names in wanted.items():
        features = [f"{view}__{name}" for name in names]
        answered = {feature: online[feature] for feature in features}
        masks = _masks(answered, known)
        reasons = explanations.of_view(asked, view, answered, np.any([*masks.values()], axis=0))
        _count(asked, answered, known, masks, reasons, report)
    if similarities:
        answered = {name: online[name] for name in (f"{SIMILARITY}__{s}" for s in similarities)}
        views = offline.similarity_views({p for some in rows.column("purposes").to_pylist() for p in some})
        known = offline.similarities(rows, views)
        masks = _masks(answered, known)
        reasons = explanations.of_similarities(asked, views, answered, np.any([*masks.values()], axis=0))
        _count(asked, answered, known, masks, reasons, report)


def _masks(answered: dict[str, pa.Array], known: pa.Table) -> dict[str, Mask]:
    return {name: differing(name, column, known.column(name).combine_chunks()) for name, column in answered.items()}


def _count(
    asked: Asked,
    answered: dict[str, pa.Array],
    known: pa.Table,
    masks: dict[str, Mask],
    reasons: npt.NDArray[np.object_],
    report: SkewReport,
) -> None:
    for name, mask in masks.items():
        skew = report.feature(asked.release, name)
        skew.compared += len(mask)
        skew.differing.update(reasons[mask].tolist())
        # What nobody can explain is shown first.
        places = sorted(np.flatnonzero(mask).tolist(), key=lambda i: reasons[i] is not None)
        for place in places[: max(0, EXAMPLES - len(skew.examples))]:
            skew.examples.append(_example(asked.rows, place, answered[name], known.column(name)))


def _example(rows: pa.Table, place: int, online: pa.Array, offline: pa.ChunkedArray) -> Example:
    row = rows.select(["answer_id", "subject_id", "product_id", "asked_at"]).slice(place, 1).to_pylist()[0]
    row["asked_at"] = row["asked_at"].isoformat()
    return Example(**row, online=_told(online[place]), offline=_told(offline[place]))


def _told(value: pa.Scalar) -> str:
    """An instant as it is logged, a long vector by its beginning."""
    if pa.types.is_timestamp(value.type):
        return str(value.cast(pa.int64()).as_py())
    text = str(value.as_py())
    return text if len(text) <= 80 else f"{text[:77]}..."
