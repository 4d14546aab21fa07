"""Whether values answered online are those known offline. Arrow and numpy alone.

A missing value equals a missing one only. Integers, bools and instants must be equal; floats may differ by NUMBER of
the greater; components of vectors by VECTOR of the greater or of 1; similarities by SIMILARITY, for how many products
are compared at once changes the order of sums. Of a histogram of similarities one product may stand in the tier
beside.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.answers.rows import SIMILARITY
from pipelines.ranking.similarities import HISTOGRAM

NUMBER = 1e-9
VECTOR = 1e-6
SIMILARITY_TOLERANCE = 1e-5
Mask = npt.NDArray[np.bool_]


def differing(feature: str, online: pa.Array, offline: pa.Array) -> Mask:
    """Where a feature (`<view>__<feature>`) differs, bool (n,); `online` as in the table of answers."""
    if pa.types.is_floating(online.type):
        return _numbers(feature, online, offline)
    if pa.types.is_string(online.type.value_type):
        given = offline if pa.types.is_list(offline.type) else _single(offline)
        return np.array([a != b for a, b in zip(online.to_pylist(), given.to_pylist(), strict=True)], bool)
    return _vectors(feature, online, offline)


def _single(texts: pa.Array) -> pa.Array:
    return pa.array([None if text is None else [text] for text in texts.to_pylist()], pa.list_(pa.string()))


def _numbers(feature: str, online: pa.Array, offline: pa.Array) -> Mask:
    if pa.types.is_timestamp(offline.type):
        offline = offline.cast(pa.timestamp("us", tz="UTC")).cast(pa.int64())
    exact = not pa.types.is_floating(offline.type)
    one, other = (_float64(column) for column in (online, offline))
    missing, also = np.isnan(one), np.isnan(other)
    if feature.startswith(f"{SIMILARITY}__"):
        allowed: Any = SIMILARITY_TOLERANCE
    else:
        allowed = 0.0 if exact else NUMBER * np.maximum(np.abs(one), np.abs(other))
    with np.errstate(invalid="ignore"):
        # Equal ones first: the difference of two infinities is none.
        apart = (one != other) & (np.abs(one - other) > allowed)
    told: Mask = (missing != also) | (apart & ~missing & ~also)
    return told


def _float64(column: pa.Array) -> npt.NDArray[np.float64]:
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    return np.asarray(pc.fill_null(column.cast(pa.float64(), safe=False), float("nan")))


def _vectors(feature: str, online: pa.Array, offline: pa.Array) -> Mask:
    # An empty vector is none.
    lengths = [np.asarray(pc.fill_null(pc.list_value_length(column), 0)) for column in (online, offline)]
    told: Mask = lengths[0] != lengths[1]
    for length in np.unique(lengths[0][~told]):
        if length:
            same = ~told & (lengths[0] == length)
            places = pa.array(np.flatnonzero(same))
            one, other = (_matrix(column.take(places), int(length)) for column in (online, offline))
            told[same] = _tiers(one, other) if feature.endswith(f"__{HISTOGRAM}") else _components(one, other)
    return told


def _matrix(column: pa.Array, length: int) -> npt.NDArray[np.float64]:
    flat = pc.list_flatten(column).to_numpy(zero_copy_only=False)
    return flat.reshape(-1, length).astype(np.float64)


def _components(one: npt.NDArray[np.float64], other: npt.NDArray[np.float64]) -> Mask:
    greater = np.maximum(1.0, np.maximum(np.abs(one), np.abs(other)))
    told: Mask = np.any(~(np.abs(one - other) <= VECTOR * greater), axis=1)
    return told


def _tiers(one: npt.NDArray[np.float64], other: npt.NDArray[np.float64]) -> Mask:
    moved = np.abs(np.cumsum(one - other, axis=1))
    # One product one tier further: the sums up to one tier differ by one, all others are equal.
    told: Mask = (moved[:, -1] != 0) | (moved.sum(axis=1) > 1)
    return told
