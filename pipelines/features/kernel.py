"""Decayed means of vectors, in numpy. No Spark: arrays of a batch of whole groups go in, arrays come out."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from scipy import sparse

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Vectors = npt.NDArray[np.float32]


def run_starts(*keys: npt.NDArray[np.generic]) -> Bools:
    """Where a new run of equal keys begins, in rows sorted by these keys. Shape (n,)."""
    changed = np.zeros(len(keys[0]), dtype=bool)
    changed[:1] = True
    for key in keys:
        changed[1:] |= key[1:] != key[:-1]
    return changed


@dataclass(frozen=True)
class Entries:
    """Which contents a step sums, each once: the places of a sparse matrix, whatever the weights are."""

    row: Ints  # the weighted rows that have a vector, sorted by step and content
    first: Ints  # of each entry, its first position in `row`
    step: Ints  # of each entry
    content: Ints  # of each entry

    @classmethod
    def of(cls, step: Ints, content: Ints) -> Entries:
        """Of rows (n,) with the number of their step and of their content, which is < 0 where it has no vector."""
        known = np.flatnonzero(content >= 0)
        row = known[np.lexsort((content[known], step[known]))]
        first = np.flatnonzero(run_starts(step[row], content[row]))
        return cls(row, first, step[row[first]], content[row[first]])

    def sums(self, weight: Floats) -> Floats:
        """The rows' weights (n,) summed by entry, in float64."""
        return np.add.reduceat(weight[self.row], self.first) if len(self.first) else np.zeros(0)


def decayed_means(
    entries: Entries,
    weight: Floats,
    vectors: Vectors,
    starts: Bools,
    seconds: Floats,
    half_life_days: float,
    base: tuple[Ints, Vectors, Floats] | None = None,
) -> tuple[Vectors, Floats]:
    """Decayed weighted means (steps, dimensions) float32 and weight sums (steps,) float64 at every step.

    `weight` is of the rows that `entries` were made of. Steps are sorted by group and time (`seconds`); `starts`
    marks each group's first step and every step that forgets what was before. `base` gives (step, mean, weight) that
    are known already.

    It is S_T = S_prev * 2^(-dt / half_life) + sum of weight x vector, W_T likewise, mean = S_T / W_T. Means are
    carried, not sums: a sum that has decayed for years would vanish in float32, its mean does not. A content without
    a vector adds neither to sum nor to weight.
    The mean of unit vectors is right to 1e-6; where nothing was seen it is zero, and so is the weight.
    """
    # A content's weights are summed in float64: a hot user's million of small ones would not add up in float32.
    sums = entries.sums(weight)
    own = np.bincount(entries.step, weights=sums, minlength=len(starts)).astype(np.float64)
    means = _weighted_means(entries, sums, own, vectors)
    if base is not None:
        means[base[0]], own[base[0]] = base[1], base[2]
    decay = np.ones(len(starts))
    decay[1:] = np.exp2(-np.maximum(np.diff(seconds), 0.0) / (86400.0 * half_life_days))
    return means, _carry_forward(means, own, starts, decay)


def _weighted_means(entries: Entries, sums: Floats, own: Floats, vectors: Vectors) -> Vectors:
    """Weighted mean of each step's own vectors: one sparse x dense product."""
    share = (sums / np.where(own > 0, own, 1.0)[entries.step]).astype(np.float32)
    edges = np.searchsorted(entries.step, np.arange(len(own) + 1))
    matrix = sparse.csr_array((share, entries.content, edges), shape=(len(own), len(vectors)))
    return np.asarray(matrix @ vectors, dtype=np.float32)


def _carry_forward(means: Vectors, own: Floats, starts: Bools, decay: Floats) -> Floats:
    """Mix into each step's mean, in place, what the step before carries; returns the weights.

    Vectorised over the steps of equal rank of all groups.
    """
    weights = own.copy()
    positions = np.arange(len(starts))
    rank = positions - np.maximum.accumulate(np.where(starts, positions, 0))
    by_rank = np.argsort(rank, kind="stable")
    edges = np.searchsorted(rank[by_rank], np.arange(1, rank.max(initial=0) + 2))
    for first, last in pairwise(edges):
        here = by_rank[first:last]
        carried = weights[here - 1] * decay[here]
        weights[here] += carried
        share = np.divide(carried, weights[here], out=np.zeros(len(here)), where=weights[here] > 0)
        share = share.astype(np.float32)[:, None]
        means[here] = means[here - 1] * share + means[here] * (1 - share)
    return weights


def running_maximum(values: Ints, starts: Bools) -> Ints:
    """Greatest value so far since the last start. Shape (n,)."""
    distinct, order = np.unique(values, return_inverse=True)
    # Runs are kept apart by an offset greater than any order, so one accumulation serves them all.
    offset = (np.cumsum(starts) - 1) * len(distinct)
    return np.asarray(distinct[np.maximum.accumulate(order + offset) - offset], dtype=np.int64)
