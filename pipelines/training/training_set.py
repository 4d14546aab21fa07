"""`training_set`: the features of a service as they were known at each row of an entity file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from feast import FeatureService, FeatureStore, FeatureView
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from pipelines.delta import TableStore
from pipelines.frames import frame_of
from pipelines.governance.runs import Run
from pipelines.identity.tombstones import without_erased
from pipelines.serving.arrow_stream import arrow_batches
from pipelines.serving.consent_view import consent_in_force
from pipelines.serving.delta_source import DeltaSource
from pipelines.serving.repo import feature_store, find_service
from pipelines.tables.sources import TOMBSTONES
from pipelines.training.entities import TIMESTAMP, EntityFrame, read_entities, require_entities, require_format
from pipelines.training.point_in_time import features_at
from pipelines.training.writing import write_table

__all__ = ["TrainingSetReport", "require_entities", "training_set"]


@dataclass(frozen=True)
class TrainingSetReport:
    """What a training set is made of; `manifest` is the file beside it that says the same."""

    path: Path
    manifest: Path
    service: str
    release: str
    rows: int
    entities: int
    entities_without_consent: int
    rows_without_consent: int
    views: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __str__(self) -> str:
        withheld = (
            f"; {self.rows_without_consent} rows of {self.entities_without_consent} who do not consent are null"
            if self.rows_without_consent
            else ""
        )
        return (
            f"{self.rows} rows of {self.entities} entities, {len(self.views)} views of {self.service}, "
            f"release {self.release} → {self.path}{withheld}"
        )


def training_set(
    store: TableStore,
    run: Run,
    entities_path: Path,
    service: str,
    out_path: Path,
    release: str | None = None,
) -> TrainingSetReport:
    """Write the entity rows, in their order and number, with the service's features as known at each moment.

    Columns of the file are kept; each feature is `<view>__<feature>`, NULL where nothing was known. Features of those
    whose consent for the service's purpose is not in force at the run's time are NULL. The file and its manifest
    appear whole or not at all. Raises EntityFrameError, UnknownServiceError, UnknownReleaseError.
    """
    entities_path, out_path = Path(entities_path), Path(out_path)
    require_entities(entities_path)
    require_format(out_path, "output")
    feast = feature_store(run.settings, offline=False)
    found = find_service(feast, run.settings, service, release)
    views = _views(feast, found)
    frame = read_entities(entities_path, views[0].entity_columns[0].name, run.settings)
    asked, pairs = _asked(store, frame)
    refused = _refused(store, run, frame, found)
    allowed = _without(asked, refused, store)
    versions = {view.name: store.version(_source(view).declared_table) for view in views}
    features = _features(store, allowed, asked, views, versions, frame.join_key)
    report = _report(out_path, found, frame, refused, _described(views, versions))
    write_table(out_path, report.manifest, _joined(frame, pairs, features), _manifest(report, run, frame))
    return report


def _views(feast: FeatureStore, service: FeatureService) -> list[FeatureView]:
    return [feast.get_feature_view(p.name) for p in service.feature_view_projections]


def _source(view: FeatureView) -> DeltaSource:
    source = view.batch_source
    assert isinstance(source, DeltaSource)
    return source


def _asked(store: TableStore, frame: EntityFrame) -> tuple[DataFrame, pa.Array]:
    """The distinct (key, moment) pairs as a DataFrame with their `pair` number, and each entity row's pair number."""
    rows = pa.table({"key": frame.keys.cast(pa.string()), "moment": frame.rows.column(TIMESTAMP)})
    numbered = rows.append_column("row", pa.array(range(rows.num_rows), pa.int64()))
    distinct = numbered.group_by(["key", "moment"], use_threads=False).aggregate([("row", "min")])
    distinct = distinct.sort_by("row_min").drop_columns("row_min")
    distinct = distinct.append_column("pair", pa.array(range(distinct.num_rows), pa.int64()))
    joined = numbered.join(distinct, ["key", "moment"]).sort_by("row")
    asked = store.spark.createDataFrame(distinct.select(["pair", "key", "moment"]))
    return asked.withColumnRenamed("key", frame.join_key), joined.column("pair").combine_chunks()


def _refused(store: TableStore, run: Run, frame: EntityFrame, service: FeatureService) -> list[str]:
    """Keys whose consent for the service's purpose is not in force, or who were erased."""
    purpose = service.tags["purpose"]
    if purpose == "none":
        return []
    keys = pa.table({"user_id": frame.keys.dictionary.unique()})
    asked = store.spark.createDataFrame(keys)
    granted = consent_in_force(asked, store, run).where(F.array_contains("purposes", purpose))
    kept = without_erased(granted, store.read(TOMBSTONES), "user_id").select("user_id")
    return [row.user_id for row in asked.join(kept, "user_id", "left_anti").collect()]


def _without(asked: DataFrame, refused: list[str], store: TableStore) -> DataFrame:
    key = asked.columns[1]
    return asked.join(frame_of(store.spark, [(k,) for k in refused], f"{key} string"), key, "left_anti")


def _features(
    store: TableStore,
    allowed: DataFrame,
    asked: DataFrame,
    views: list[FeatureView],
    versions: dict[str, int | None],
    key: str,
) -> DataFrame:
    """`pair` and all features, one row per pair, in the order of the pairs."""
    moments = allowed.select(key, "moment")
    result = asked.select("pair", key, "moment")
    for view in views:
        names = [f.name for f in view.features]
        history = _history(store, view, versions[view.name])
        result = result.join(features_at(moments, history, key, names, view.name), [key, "moment"], "left")
    return result.drop(key, "moment").orderBy("pair")


def _history(store: TableStore, view: FeatureView, version: int | None) -> DataFrame:
    source = _source(view)
    table = source.declared_table
    rows = store.read(table) if version is None else store.read_version(table, version)
    for column, value in source.partition.items():
        rows = rows.where(F.col(column) == value)
    return rows


def _joined(frame: EntityFrame, pairs: pa.Array, features: DataFrame) -> Iterator[pa.Table]:
    """The entity rows with their features, in order.

    Pairs are numbered by first appearance, so features stream in the order in which rows first need them; only those
    of pairs that come again later are kept.
    """
    last_use = {pair: row for row, pair in enumerate(pairs.to_pylist())}
    kept: pa.Table | None = None
    done = 0
    for batch in arrow_batches(features):
        arrived = pa.Table.from_batches([batch])
        kept = arrived if kept is None else pa.concat_tables([kept, arrived])
        newest = kept.column("pair")[-1].as_py()
        ready = _ready_rows(pairs, done, newest)
        yield _take(frame, pairs, kept, done, ready)
        done = ready
        still = pa.array([last_use[p] >= done for p in kept.column("pair").to_pylist()])
        kept = kept.filter(still)
    assert done == frame.rows.num_rows


def _ready_rows(pairs: pa.Array, start: int, newest: int) -> int:
    """Rows from `start` on whose pair has arrived: up to the first with a greater number."""
    later = pc.indices_nonzero(pc.greater(pairs.slice(start), newest))
    return start + int(later[0].as_py()) if len(later) else len(pairs)


def _take(frame: EntityFrame, pairs: pa.Array, kept: pa.Table, start: int, end: int) -> pa.Table:
    positions = pc.index_in(pairs.slice(start, end - start), value_set=kept.column("pair"))
    features = kept.drop_columns("pair").take(positions)
    rows = frame.rows.slice(start, end - start)
    for name in features.column_names:
        rows = rows.append_column(name, features.column(name))
    return rows


def _described(views: list[FeatureView], versions: dict[str, int | None]) -> dict[str, dict[str, Any]]:
    return {
        view.name: {
            **_source(view).tags,
            "delta_version": versions[view.name],
            "features": [f.name for f in view.features],
        }
        for view in views
    }


def _report(
    out: Path, service: FeatureService, frame: EntityFrame, refused: list[str], views: dict[str, dict[str, Any]]
) -> TrainingSetReport:
    withheld = pc.is_in(frame.keys.cast(pa.string()), value_set=pa.array(refused, pa.string()))
    return TrainingSetReport(
        path=out,
        manifest=out.with_name(out.name + ".manifest.json"),
        service=service.tags["use"],
        release=service.tags["release"],
        rows=frame.rows.num_rows,
        entities=len(frame.keys.dictionary.unique()),
        entities_without_consent=len(refused),
        rows_without_consent=int(pc.sum(withheld).as_py() or 0),
        views=views,
    )


def _manifest(report: TrainingSetReport, run: Run, frame: EntityFrame) -> str:
    values = {
        "service": report.service,
        "release": report.release,
        "as_of": run.as_of.isoformat(),
        "rows": report.rows,
        "entities": report.entities,
        "entities_without_consent": report.entities_without_consent,
        "rows_without_consent": report.rows_without_consent,
        "entity_file_checksum": frame.checksum,
        "views": report.views,
    }
    return json.dumps(values, indent=2, ensure_ascii=False) + "\n"
