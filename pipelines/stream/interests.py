"""Interests of some profiles within the day: S = S of the last day's end, decayed, + the weights since x vectors.

The sum is `kernel.decayed_means` with two steps per profile: the row that the last feature run left, and now. What
has weight since then are tiles, decayed to their day's end as all tiles are, and from there on (or back) to now.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.features.fused_rows import SOURCES, fuse
from pipelines.features.interest_rows import DAY_MICROSECONDS, TIMESTAMP, list_array, matrix_of
from pipelines.features.interests import MODALITIES
from pipelines.features.kernel import Bools, Entries, Floats, Ints, Vectors, decayed_means
from pipelines.features.medoids import with_medoids
from pipelines.releases.manifest import Release
from pipelines.stream.base import Base, Version
from pipelines.stream.content_vectors import ContentVectors
from pipelines.stream.open_days import OpenDays
from pipelines.stream.profiles import Profile
from pipelines.stream.scalars import with_moments
from pipelines.tables.definitions import HALF_LIVES_DAYS, INTEREST_WEIGHTS, TILE_WEIGHTS
from pipelines.tables.features import USER_FUSED, USER_VISUAL_INTEREST
from pipelines.tables.schema import Table

[PURPOSE] = USER_FUSED.purposes
_FUSED_HALF_LIFE = 30
VersionedRows = dict[tuple[Table, Version | None], pa.Table]


@dataclass(frozen=True)
class _Weights:
    """Weights since the last feature run: the place of the profile, content, seconds at which they are as given."""

    place: list[int]
    content: list[str]
    seconds: list[float]
    weights: list[npt.NDArray[np.float64]]


@dataclass(frozen=True)
class Interest:
    """Of n profiles, by half-life: means (n, dimensions), zeros where nothing was seen, and weights (n,)."""

    means: Mapping[int, Vectors]
    weights: Mapping[int, Floats]


def steady(base: Base, profiles: Sequence[Profile]) -> list[Profile]:
    """Profiles that sum the same subjects as at the last day's end. The others' interests are summed anew by the
    next feature run, which has all their tiles."""
    midnight = base.done.midnight * DAY_MICROSECONDS
    return [p for p in profiles if p.members == base.links.members(p.user, midnight)]


def interest_rows_now(
    base: Base,
    open_days: OpenDays,
    release: Release,
    vectors: ContentVectors,
    profiles: Sequence[Profile],
    actions: pa.Table,
    created_at: int,
) -> VersionedRows:
    """Rows of a release's interests and fused vectors: user_id, purpose, values, event_timestamp.

    `actions` as of `actions_of` of the same profiles. A profile has a row in those modalities in which it has
    something new with a vector, and in user_fused where it has one in any.
    """
    made: VersionedRows = {}
    interests: list[Interest] = []
    changed = np.zeros(len(profiles), dtype=bool)
    for modality, table in MODALITIES.items():
        version = release.encoder_for(table.depends_on or "")
        interest = _interest(base, open_days, table, modality, version, vectors, profiles)
        interests.append(interest)
        fresh = np.array([modality in p.modalities for p in profiles]) & (interest.weights[_FUSED_HALF_LIFE] > 0)
        changed |= fresh
        if fresh.any():
            rows = _rows(interest, profiles, fresh)
            if table is USER_VISUAL_INTEREST:
                rows = _with_medoids(rows, actions, vectors, version, modality, profiles, created_at)
            made[table, version] = with_moments(rows, profiles)
    if changed.any():
        rows = _fused(interests, profiles, changed)
        made[USER_FUSED, release.encoder_for("fused")] = with_moments(rows, profiles)
    return made


def _interest(
    base: Base,
    open_days: OpenDays,
    table: Table,
    modality: str,
    version: Version,
    vectors: ContentVectors,
    profiles: Sequence[Profile],
) -> Interest:
    """Every profile has two steps, an even one for the row that stands and an odd one for now."""
    count = len(profiles)
    standing, of_profile = base.interests[table.name, version].take([p.user for p in profiles])
    mine = np.flatnonzero(pc.equal(standing["purpose"], PURPOSE).to_numpy(zero_copy_only=False))
    standing, of_profile = standing.take(pa.array(mine)), of_profile[mine]
    seconds = np.repeat(np.array([p.at for p in profiles]) / 1e6, 2)
    seconds[2 * of_profile] = standing["at"].to_numpy() / 1e6
    found = _weights(base, open_days, modality, profiles)
    matrix, row = vectors.matrix(version, modality), vectors.rows(version, modality, found.content)
    step = 2 * np.array(found.place, dtype=np.int64) + 1
    entries = Entries.of(step, row)
    starts = np.arange(2 * count) % 2 == 0
    means, weights = {}, {}
    for number, half_life in enumerate(HALF_LIVES_DAYS):
        own = np.array([w[number] for w in found.weights], dtype=np.float64)
        decay = np.exp2(-(seconds[step] - np.array(found.seconds)) / (86_400 * half_life))
        old = matrix_of(standing[f"mean_{half_life}d"], matrix.shape[1])
        old_weight = standing[f"weight_{half_life}d"].fill_null(0.0).to_numpy().astype(np.float64)
        mean, weight = decayed_means(
            entries, own * decay, matrix, starts, seconds, half_life, (2 * of_profile, old, old_weight)
        )
        means[half_life], weights[half_life] = mean[1::2], weight[1::2]
    return Interest(means, weights)


def _weights(base: Base, open_days: OpenDays, modality: str, profiles: Sequence[Profile]) -> _Weights:
    found = _Weights([], [], [], [])

    def add(place: int, content: str, day: int, weights: npt.NDArray[np.float64]) -> None:
        found.place.append(place)
        found.content.append(content)
        found.seconds.append((day + 1) * 86_400.0)
        found.weights.append(weights)

    pairs = [(place, member) for place, profile in enumerate(profiles) for member in profile.members]
    old, of_pair = base.tiles.take([member for _, member in pairs])
    for pair, tile in zip(of_pair.tolist(), old.to_pylist(), strict=True):
        if tile["modality"] == modality and PURPOSE in tile["allowed_purposes"]:
            add(pairs[pair][0], tile["content_id"], tile["day"], np.array([tile[name] for name in TILE_WEIGHTS]))
    for place, member in pairs:
        if member in open_days.subjects:
            for (day, of, content, purposes), weights in open_days.subjects[member].tiles.items():
                if of == modality and PURPOSE in purposes:
                    add(place, content, day, weights)
    return found


def _rows(interest: Interest, profiles: Sequence[Profile], which: Bools) -> pa.Table:
    users = [profile.user for profile, wanted in zip(profiles, which, strict=True) if wanted]
    columns: dict[str, pa.Array] = {"user_id": pa.array(users), "purpose": pa.array([PURPOSE] * len(users))}
    for half_life in HALF_LIVES_DAYS:
        weights = interest.weights[half_life][which]
        columns[f"mean_{half_life}d"] = list_array(interest.means[half_life][which], weights > 0)
        columns[f"weight_{half_life}d"] = pa.array(weights)
    return pa.table(columns)


def _with_medoids(
    rows: pa.Table,
    actions: pa.Table,
    vectors: ContentVectors,
    version: Version,
    modality: str,
    profiles: Sequence[Profile],
    created_at: int,
) -> pa.Table:
    """Medoids are told of whole days: the row poses as its day's end for as long as they are chosen."""
    midnight = {profile.user: profile.midnight for profile in profiles}
    ends = [midnight[user] * DAY_MICROSECONDS for user in rows["user_id"].to_pylist()]
    posing = {"event_timestamp": ends, "created_at": [max(created_at, end) for end in ends]}
    for name, moments in posing.items():
        rows = rows.append_column(name, pa.array(moments, pa.int64()).cast(TIMESTAMP))
    mine = actions.filter(pc.and_(actions[f"for_{PURPOSE}"], actions["content_id"].is_valid()))
    rows = with_medoids(rows, _as_recent(mine, vectors.rows(version, modality, mine["content_id"].to_pylist())),
                        vectors.matrix(version, modality))  # fmt: skip
    return rows.drop_columns(list(posing))


def _as_recent(actions: pa.Table, row: Ints) -> pa.Table:
    """Actions as `recent_actions` of the medoids names them, with the places of their vectors."""
    weights = [INTEREST_WEIGHTS[kind] for kind in actions["kind"].to_pylist()]
    count = len(actions)
    return pa.table(
        {
            "user_id": actions["user_id"],
            "purpose": pa.array([PURPOSE] * count),
            "day": actions["day"].cast(pa.int32()).cast(pa.date32()),
            "product_id": actions["product_id"],
            "acted_at": actions["at"],
            "act_weight": pa.array(weights, pa.float64()),
            "linked_from": pa.array(np.full(count, -1_000_000)),
            "linked_until": pa.array(np.full(count, 10_000_000)),
            "available_at": actions["available"].cast(TIMESTAMP),
            "row": pa.array(row),
        }
    )


def _fused(interests: Sequence[Interest], profiles: Sequence[Profile], which: Bools) -> pa.Table:
    means = [interest.means[_FUSED_HALF_LIFE][which] for interest in interests]
    observed = [interest.weights[_FUSED_HALF_LIFE][which] > 0 for interest in interests]
    fused, says = fuse(means, observed)
    names = [[n for n, there in zip(SOURCES, row, strict=True) if there] for row in zip(*observed, strict=True)]
    users = [profile.user for profile, wanted in zip(profiles, which, strict=True) if wanted]
    return pa.table(
        {
            "user_id": pa.array(users),
            "purpose": pa.array([PURPOSE] * len(users)),
            "vector": list_array(fused, says),
            "modalities_observed": pa.array(names, pa.list_(pa.string())),
        }
    )
