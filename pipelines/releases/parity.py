"""Is a candidate's history the standing one in another space? Checked before anybody is served from it.

All pairs of times are compared; values of a sample of users are derived a second time, by another way.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from pyspark.sql import functions as F

from pipelines.delta import TableStore
from pipelines.errors import PromotionRefusedError
from pipelines.features.interest_rows import VECTOR
from pipelines.features.interests import MODALITIES
from pipelines.features.published import published, with_values
from pipelines.features.steps import ALWAYS, purpose_tiles
from pipelines.features.subjects import subjects_of
from pipelines.identity.tombstones import without_erased
from pipelines.point_in_time.history_files import FileColumn
from pipelines.releases.backfill import half_lives_of, pairs_of, version_predicate
from pipelines.releases.manifest import Release
from pipelines.releases.opinion_parity import require_counted
from pipelines.tables.aggregates import EMBEDDINGS, USER_TILES
from pipelines.tables.features import PRODUCT_VECTORS, USER_FUSED, USER_TAGS
from pipelines.tables.schema import Table
from pipelines.tables.sources import TOMBSTONES

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from pipelines.features.kernel import Vectors

SAMPLED = 16
"""Users and products whose values are looked at."""
_ROWS_PER_KEY = 8
_TOLERANCE = 1e-4
_BEGINNING = dt.datetime(1, 1, 1, tzinfo=dt.UTC)
_EPOCH = dt.date(1970, 1, 1)


def same_pairs(store: TableStore, table: Table, standing: Release, candidate: Release) -> bool:
    """Whether both versions of a history have rows of the same keys and times; never where there is no standing one."""
    if not standing.serves(table):
        return False
    part = table.depends_on or ""
    old, new = (_digest(pairs_of(store, table, release.encoder_for(part))) for release in (standing, candidate))
    return old == new


def _digest(pairs: DataFrame) -> tuple[Any, ...]:
    key = F.xxhash64(*sorted(pairs.columns))
    row = pairs.agg(F.count(F.lit(1)), F.bit_xor(key), F.sum(F.pmod(key, F.lit(2**31)))).collect()[0]
    return tuple(row)


def require_parity(store: TableStore, table: Table, standing: Release, candidate: Release) -> None:
    """Raises PromotionRefusedError, naming the first thing that is not as it must be."""
    if standing.serves(table) and not same_pairs(store, table, standing, candidate):
        raise PromotionRefusedError(f"{table.name}: the rows of {candidate.name} are not those of {standing.name}")
    version = candidate.encoder_for(table.depends_on or "")
    if table.depends_on == "tags":
        _require_tags(store, table, version)
        return
    if table.depends_on == "opinions":
        require_counted(store, table, candidate, store.read(table).where(version_predicate(version)), SAMPLED)
        return
    if table is PRODUCT_VECTORS:
        rows = store.read(table).where(version_predicate(version)).orderBy(F.xxhash64("product_id")).limit(SAMPLED)
        vectors = [c.name for c in table.feature_columns]
        _require_vectors(rows.select(*vectors).toArrow(), table, vectors, candidate.clip.dimensions, unit=True)
        return
    rows = _sample(store, table, version)
    if table is USER_FUSED:
        size = candidate.clip.dimensions + candidate.review.dimensions
        _require_vectors(rows, table, ["vector"], size, unit=True)
        return
    size = candidate.encoders[table.depends_on or ""].dimensions
    _require_vectors(rows, table, [f"mean_{h}d" for h in half_lives_of(table)], size, unit=False)
    _require_recomputed(store, table, version, rows)


def _require_tags(store: TableStore, table: Table, version: tuple[str, str]) -> None:
    """Of every row as many numbers as tags, each from 0 to 1."""
    numbers = "confidences" if table is USER_TAGS else "shares"
    wrong = f"size(tags) != size({numbers}) or exists({numbers}, n -> n is null or n < 0 or n > 1) or tags is null"
    found = store.read(table).where(version_predicate(version)).where(wrong).limit(1).collect()
    if found:
        raise PromotionRefusedError(f"{table.name}: a row has tags {found[0]['tags']} with {found[0][numbers]}")


def _sample(store: TableStore, table: Table, version: tuple[str, str]) -> pa.Table:
    """Rows of some users, spread over their time, with the values of vectors and weights."""
    values = [
        FileColumn(c.name, c.name, VECTOR if c.type == "array<float>" else pa.float64())
        for c in table.feature_columns
        if c.name.startswith(("mean_", "weight_", "vector"))
    ]
    history = published(store, table, version, _BEGINNING, values)
    users = history.select("user_id").distinct().orderBy(F.xxhash64("user_id")).limit(SAMPLED)
    chosen = without_erased(history, store.read(TOMBSTONES), "user_id").join(F.broadcast(users), "user_id")
    found = with_values(chosen, store.location(table), values).toArrow().sort_by("event_timestamp")
    of_user: dict[str, list[int]] = defaultdict(list)
    for place, user in enumerate(found["user_id"].to_pylist()):
        of_user[user].append(place)
    spread = (places[:: -(-len(places) // _ROWS_PER_KEY)] for places in of_user.values())
    return found.take(pa.array([place for places in spread for place in places], pa.int64()))


def _require_vectors(rows: pa.Table, table: Table, names: Sequence[str], dimensions: int, *, unit: bool) -> None:
    for name in names:
        for vector in rows[name].to_pylist():
            if vector is None:
                continue
            length = float(np.linalg.norm(vector))
            right = abs(length - 1) < 1e-3 if unit else length < 1 + 1e-3
            if len(vector) != dimensions or not right:
                raise PromotionRefusedError(
                    f"{table.name}.{name}: a vector of {len(vector)} numbers and length {length:.4f}, expected "
                    f"{dimensions} numbers and length {'1' if unit else 'up to 1'}"
                )


def _require_recomputed(store: TableStore, table: Table, version: tuple[str, str], rows: pa.Table) -> None:
    """Every sampled row summed plainly from its tiles, in float64."""
    if not rows.num_rows:
        return
    modality = next(name for name, of in MODALITIES.items() if of is table)
    members, tiles = _behind(store, table, modality, rows)
    vectors = _vectors(store, version, modality, {tile["content_id"] for some in tiles.values() for tile in some})
    for row in rows.to_pylist():
        seen = _seen(row, members[row["user_id"]], tiles)
        for half_life in half_lives_of(table):
            mean, weight = _summed(seen, row["event_timestamp"], vectors, half_life)
            made, weighed = row[f"mean_{half_life}d"], row[f"weight_{half_life}d"]
            same = np.isclose(weighed, weight, rtol=_TOLERANCE) and (made is None) == (mean is None)
            if same and made is not None and mean is not None:
                same = bool(np.abs(np.asarray(made) - mean).max() < _TOLERANCE)
            if not same:
                raise PromotionRefusedError(
                    f"{table.name}: the row of {row['user_id']} at {row['event_timestamp']} (half-life {half_life} "
                    f"days) is not what its tiles sum to: weight {weighed:g} instead of {weight:g}"
                )


def _behind(
    store: TableStore, table: Table, modality: str, rows: pa.Table
) -> tuple[dict[str, list[dict[str, Any]]], dict[tuple[str, str], list[dict[str, Any]]]]:
    """Whom the sampled users sum, and the tiles of those by subject and purpose."""
    asked = store.spark.createDataFrame(pa.table({"user_id": rows["user_id"].unique()}))
    subjects = without_erased(subjects_of(store, asked.withColumn("from_day", F.lit(ALWAYS))), store.read(TOMBSTONES))
    members: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for member in subjects.toArrow().to_pylist():
        members[member["user_id"]].append(member)
    found = purpose_tiles(store.read(USER_TILES), modality, table, max(rows["event_timestamp"].to_pylist()).date())
    of_members = found.join(F.broadcast(subjects.select("subject_id").distinct()), "subject_id")
    tiles: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for tile in of_members.toArrow().to_pylist():
        tiles[tile["subject_id"], tile["purpose"]].append(tile)
    return members, tiles


def _seen(
    row: dict[str, Any], members: list[dict[str, Any]], tiles: dict[tuple[str, str], list[dict[str, Any]]]
) -> list[dict[str, Any]]:
    """The tiles that a row sums: of subjects linked at its time, over by then, known by its created_at."""
    midnight = (row["event_timestamp"].date() - _EPOCH).days
    linked: dict[str, bool] = {}
    for member in members:
        if member["held_from"] <= midnight < member["held_until"]:
            known = member["link_available_at"] is None or member["link_available_at"] <= row["created_at"]
            linked[member["subject_id"]] = linked.get(member["subject_id"], False) or known
    of_all = (tiles[subject, row["purpose"]] for subject, known in linked.items() if known)
    return [
        tile
        for of_subject in of_all
        for tile in of_subject
        if (tile["day"] - _EPOCH).days < midnight and tile["available_at"] <= row["created_at"]
    ]


def _summed(
    tiles: list[dict[str, Any]], at: dt.datetime, vectors: dict[str, Vectors], half_life: int
) -> tuple[np.ndarray | None, float]:
    total: np.ndarray | None = None
    weight = 0.0
    for tile in tiles:
        if (vector := vectors.get(tile["content_id"])) is not None:
            decayed = tile[f"weight_{half_life}d"] * 0.5 ** (((at.date() - tile["day"]).days - 1) / half_life)
            total = decayed * vector.astype(np.float64) + (0 if total is None else total)
            weight += decayed
    return (None if total is None or weight <= 0 else total / weight), weight


def _vectors(store: TableStore, version: tuple[str, str], modality: str, contents: set[str]) -> dict[str, Vectors]:
    wanted = store.spark.createDataFrame(pa.table({"content_hash": pa.array(sorted(contents), pa.string())}))
    known = store.read(EMBEDDINGS).where(version_predicate(version)).where(F.col("modality") == modality)
    rows = known.where("status = 'ok'").join(F.broadcast(wanted), "content_hash").select("content_hash", "vector")
    return {row["content_hash"]: np.frombuffer(row["vector"], "<f4") for row in rows.toArrow().to_pylist()}
