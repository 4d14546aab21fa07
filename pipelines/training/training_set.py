"""`training_set`: the features of a service as they were known at each row of an entity file."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.delta import TableStore
from pipelines.errors import EntityFrameError, ReplayRefusedError, TableError
from pipelines.governance.runs import Run
from pipelines.ranking.similarities import VERSION
from pipelines.serving.repo import feature_store, find_service
from pipelines.training.entities import TIMESTAMP, EntityFrame, read_entities, require_entities, require_output
from pipelines.training.feature_views import join_keys
from pipelines.training.manifest import Manifest, ViewPart, encoders_of, read_manifest, with_versions
from pipelines.training.offline_store import retrieval_of
from pipelines.training.ranking_rows import PREFIX, PRODUCT_KEY, RankingRows, compared
from pipelines.training.retrieval import Retrieval
from pipelines.training.withheld import Withheld, withheld, withheld_then
from pipelines.training.writing import write_table


@dataclass(frozen=True)
class TrainingSet:
    """A written training set: its file, the manifest beside it and what that says; and what it was made for."""

    path: Path
    manifest_path: Path
    manifest: Manifest
    entities: EntityFrame = field(repr=False)
    without: Withheld = field(repr=False)

    def __str__(self) -> str:
        made = self.manifest
        null = f"; {made.rows_without_consent} rows of {made.entities_without_consent} who do not consent are null"
        return (
            f"{made.rows} rows of {made.entities} entities, {len(made.views)} views of {made.service}, "
            f"release {made.release} → {self.path}{null if made.rows_without_consent else ''}"
        )


def manifest_path(path: Path) -> Path:
    """Where the manifest of a training set lies."""
    return path.with_name(path.name + ".manifest.json")


def training_set(
    store: TableStore,
    run: Run,
    entities_path: Path,
    service: str,
    out_path: Path,
    release: str | None = None,
    *,
    keyed: bool = False,
) -> TrainingSet:
    """Write the entity rows, in their order and number, with the service's features as known at each moment.

    Columns of the file are kept (of a CSV as what they look like); each feature is `<view>__<feature>`, NULL where
    nothing was known. Rows of a service of users and products have a `product_id` as well, and get numbers and
    `similarity__<name>`. Features of those whose consent for the service's purpose is not in force now, whatever the
    run's time, are NULL. The file and its manifest appear whole or not at all. `keyed`: the file's user ids are
    subject keys already, as in the home's own tables.
    Raises EntityFrameError, UnknownServiceError, UnknownReleaseError.
    """
    entities_path, out_path = Path(entities_path), Path(out_path)
    require_entities(entities_path)
    require_output(out_path, entities_path)
    run = _now(run)
    feast = feature_store(run.settings)
    found = find_service(feast, run.settings, service, release)
    views = [feast.get_feature_view(p.name) for p in found.feature_view_projections]
    keys = [key for view in views for _, key in join_keys(view)]
    ranking = len(set(keys)) > 1
    key = keys[0]
    frame = read_entities(entities_path, key, run.settings, keyed=keyed, with_products=ranking)
    purpose = found.tags["purpose"]
    without = withheld(store, run, frame.keys.dictionary, purpose)
    asked = Manifest(
        service=found.tags["use"],
        release=found.tags["release"],
        release_parts=found.tags.get("release_parts", ""),
        purpose=purpose,
        as_of=run.as_of,
        join_key=key,
        keyed=keyed,
        rows=frame.rows.num_rows,
        entities=len(frame.keys.dictionary.unique()),
        entities_without_consent=len(without.keys),
        rows_without_consent=_count(_rows_of(frame, without)),
        entity_file_checksum=frame.checksum,
        file_format=out_path.suffix.lower(),
        similarities=VERSION if ranking else None,
        encoders=encoders_of(found),
        views={view.name: ViewPart.of(view, numbers_only=ranking) for view in views},
        consent_versions=without.versions,
    )
    return _write(asked, run, frame, without, out_path)


def replay(store: TableStore, run: Run, entities_path: Path, manifest: Path, out_path: Path) -> TrainingSet:
    """Make the training set of a manifest again, bit for bit, from the same entity file.

    Raises ReplayRefusedError with the reason where a version is gone (retention, erasure), somebody in it has
    withdrawn consent or was erased since, the entity file is another, or the bytes differ.
    """
    require_entities(Path(entities_path))
    require_output(Path(out_path), Path(entities_path))
    run = _now(run)
    before = read_manifest(Path(manifest))
    if before.similarities not in (None, VERSION):
        raise ReplayRefusedError(f"similarities of version {before.similarities} are no longer made, but of {VERSION}")
    ranking = before.similarities is not None
    frame = read_entities(Path(entities_path), before.join_key, run.settings, keyed=before.keyed, with_products=ranking)
    if out_path.suffix.lower() != before.file_format:
        raise ReplayRefusedError(f"the training set was written as {before.file_format}; name the output like that")
    if frame.checksum != before.entity_file_checksum:
        raise ReplayRefusedError(
            f"{entities_path} is not the entity file of {manifest}: its checksum is {frame.checksum}, "
            f"expected {before.entity_file_checksum}"
        )
    then = Run(run.settings, before.as_of, run.run_id)
    keys = frame.keys.dictionary
    without = withheld_then(store, then, keys, before.purpose, before.consent_versions)
    gone = set(withheld(store, run, keys, before.purpose).keys) - set(without)
    if gone:
        raise ReplayRefusedError(
            f"{len(gone)} of {before.entities} entities have withdrawn consent for {before.purpose}, or were erased, "
            f"since {before.as_of.isoformat()}; make a new training set instead"
        )
    try:
        return _write(before, run, frame, Withheld(without, before.consent_versions), Path(out_path))
    except TableError as error:
        raise ReplayRefusedError(f"retention or an erasure removed what is needed: {error}") from error


def _write(asked: Manifest, run: Run, frame: EntityFrame, without: Withheld, out: Path) -> TrainingSet:
    """Write what the manifest asks for, at the versions it names (None: the newest), and the completed manifest."""
    _require_new_names(asked, frame)
    retrieval = retrieval_of(feature_store(run.settings).config.offline_store)
    allowed = pc.invert(_rows_of(frame, without))
    path = manifest_path(out)
    with _features(asked, run, frame, allowed, retrieval) as (versions, pieces):
        made = asked.model_copy(update={"views": with_versions(asked.views, versions)})
        text = write_table(out, path, _pieces(frame, pieces), lambda file: _completed(made, file).text())
    return TrainingSet(out, path, Manifest.model_validate_json(text), frame, without)


def _require_new_names(asked: Manifest, frame: EntityFrame) -> None:
    """Raises EntityFrameError where a column of the entity file has the name of one that is made."""
    made = {f"{view}__{feature}" for view, part in asked.views.items() for feature in part.features}
    given = frame.rows.column_names
    if twice := [n for n in given if n in made or (asked.similarities is not None and n.startswith(PREFIX))]:
        raise EntityFrameError(f"the entity file has {', '.join(twice[:3])} already; leave features out of it")


def _now(run: Run) -> Run:
    """The run, at a time that no consent was withdrawn after."""
    return replace(run, as_of=max(run.as_of, datetime.now(UTC)))


@contextmanager
def _features(
    asked: Manifest, run: Run, frame: EntityFrame, allowed: pa.Array, retrieval: Retrieval
) -> Iterator[tuple[dict[str, int], Iterator[pa.Table]]]:
    """The version of each view's table, and the features of the entity rows in pieces."""
    rows = pa.table({asked.join_key: frame.keys, TIMESTAMP: frame.rows.column(TIMESTAMP)})
    if asked.similarities is None:
        views = [part.history(name, run.settings) for name, part in asked.views.items()]
        with retrieval.joined(rows, TIMESTAMP, views, allowed) as (versions, slices):
            yield versions, chain.from_iterable(joined.features() for joined in slices)
        return
    views = [part.history(name, run.settings, compared(part.table)) for name, part in asked.views.items()]
    with retrieval.opened(views) as (histories, engine):
        ranking = RankingRows(
            rows.append_column(PRODUCT_KEY, frame.products),
            frame.rows.column(TIMESTAMP),
            {part.table: history for part, history in zip(asked.views.values(), histories, strict=True)},
            [f"{name}__{feature}" for name, part in asked.views.items() for feature in part.features],
            engine,
        )
        yield {h.view.name: h.version for h in histories}, ranking.slices(retrieval.entity_rows_at_once, allowed)


def _completed(made: Manifest, file: Path) -> Manifest:
    """With the written file's checksum. Raises ReplayRefusedError where the manifest has another one already."""
    with file.open("rb") as content:
        checksum = f"sha256:{hashlib.file_digest(content, 'sha256').hexdigest()}"
    if made.file_checksum and made.file_checksum != checksum:
        raise ReplayRefusedError(
            f"the rebuilt file differs from the one of the manifest ({checksum}, expected {made.file_checksum}); "
            f"that one was written by {made.written_by}, this one by pyarrow {pa.__version__}"
        )
    return made.model_copy(update={"file_checksum": checksum})


def _pieces(frame: EntityFrame, pieces: Iterator[pa.Table]) -> Iterator[pa.Table]:
    start = 0
    for features in pieces:
        rows = frame.rows.slice(start, features.num_rows)
        yield pa.table([*rows.columns, *features.columns], names=[*rows.column_names, *features.column_names])
        start += features.num_rows


def _rows_of(frame: EntityFrame, without: Withheld) -> pa.Array:
    """Whether each entity row is of somebody who is withheld."""
    return pc.is_in(frame.keys.cast(pa.string()), value_set=pa.array(without.keys, pa.string()))


def _count(mask: pa.Array) -> int:
    return int(pc.sum(mask).as_py() or 0)
