"""What a ranking is worth, per query."""

from __future__ import annotations

from math import comb

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


def reciprocal_ranks(likeness: Floats, relevant: Bools) -> Floats:
    """1 / rank of the best relevant candidate of each query (queries, candidates); equal likeness shares the ranks.

    Without shared ranks an encoder that gives every content the same vector would find everything first.
    """
    best = np.where(relevant, likeness, -np.inf).max(axis=1, keepdims=True)
    above = (likeness > best).sum(axis=1)
    level = ((likeness == best) & ~relevant).sum(axis=1)
    return np.asarray(1.0 / (1.0 + above + level / 2), dtype=np.float64)


def reciprocal_rank_by_chance(relevant: Bools) -> float:
    """The mean over queries of the expected reciprocal rank of a random order, to first order: the best of m among n
    lies at (n + 1) / (m + 1) in the middle, and 1 / rank is summed over where it may lie."""
    candidates = relevant.shape[1]
    found = []
    for count in relevant.sum(axis=1).tolist():
        # The best lies at rank r with probability C(n - r, m - 1) / C(n, m), made step by step.
        share, total = count / candidates, 0.0
        for rank in range(1, candidates - count + 2):
            total += share / rank
            share *= (candidates - rank - count + 1) / max(candidates - rank, 1)
        found.append(total)
    return float(np.mean(found)) if found else 0.0


def places(likeness: Floats) -> npt.NDArray[np.int64]:
    """How many candidates are at least as near as the right one, in a square matrix whose diagonal is right: (n,)."""
    own = np.diagonal(likeness)[:, None]
    return np.asarray((likeness >= own).sum(axis=1) - 1)


def recall_among(above: npt.NDArray[np.int64], candidates: int, drawn: int, depth: int) -> Floats:
    """The chance that the right one is among the `depth` nearest when it stands among `drawn` of the `candidates`.

    `above` (n,) says how many candidates are nearer. The mean over all draws, exactly: of the others `drawn` - 1 are
    taken, and fewer than `depth` of them may be nearer (hypergeometric).
    """
    others, taken = candidates - 1, drawn - 1
    chance = {
        count: sum(comb(count, k) * comb(others - count, taken - k) for k in range(min(depth, taken + 1)))
        / comb(others, taken)
        for count in set(above.tolist())
    }
    return np.array([chance[count] for count in above.tolist()], dtype=np.float64)


def recalls(likeness: Floats, relevant: Bools, depth: int) -> Floats:
    """The share of each query's relevant candidates among its `depth` nearest."""
    nearest = np.argsort(-likeness, axis=1, kind="stable")[:, :depth]
    found = np.take_along_axis(relevant, nearest, axis=1).sum(axis=1)
    return np.asarray(found / np.maximum(relevant.sum(axis=1), 1), dtype=np.float64)


def shared_neighbours(before: Floats, after: Floats, depth: int) -> Floats:
    """Of each item the share of its `depth` nearest others (cosine) in one space that are so in the other, too."""
    kept = min(depth, len(before) - 1)
    nearest = []
    for vectors in (before, after):
        likeness = vectors @ vectors.T
        np.fill_diagonal(likeness, -np.inf)
        near = np.zeros(likeness.shape, bool)
        np.put_along_axis(near, np.argsort(-likeness, axis=1, kind="stable")[:, :kept], True, axis=1)
        nearest.append(near)
    return np.asarray((nearest[0] & nearest[1]).sum(axis=1) / max(kept, 1), dtype=np.float64)
