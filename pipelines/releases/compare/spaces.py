"""How far two spaces lie apart, what becomes of users' neighbours, and what encoding costs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from encoders.evaluation.estimates import Estimate, ratio
from encoders.evaluation.ranking import shared_neighbours
from pipelines.evaluation.measure import Figure, figures
from pipelines.evaluation.prototypes import Floats
from pipelines.releases.compare.interests import interests
from pipelines.releases.compare.task import Case, estimated
from pipelines.releases.compare.vectors import Space

NEIGHBOURS = 10
# Users whose neighbours are compared: the likeness of all pairs is computed.
_MOST_USERS = 3000
_SEED = 1
_STILL = 0.01  # of the mean spread along an axis


def common_vectors(case: Case) -> tuple[Floats, Floats]:
    """The vectors (contents, dimensions) of the contents that both have; products' pooled ones follow from them."""
    keys = sorted(k for k in case.before.vectors.keys() & case.after.vectors.keys() if k[0] != "product_image")
    before = np.stack([case.before.vectors[key] for key in keys]).astype(np.float64)
    return before, np.stack([case.after.vectors[key] for key in keys]).astype(np.float64)


def cosines(before: Floats, after: Floats) -> Floats | None:
    """Of each content's two vectors; None where the dimensions differ."""
    return (before * after).sum(axis=1) if before.shape == after.shape else None


def mapped_cosines(before: Floats, after: Floats) -> Floats:
    """The same after the best orthogonal map of one space onto the other (Schönemann 1966), fitted on half of the
    contents and measured on the other half, both ways. With different dimensions the map is semi-orthogonal."""
    order = np.random.default_rng(_SEED).permutation(len(before))
    halves, found = (order[::2], order[1::2]), np.zeros(len(before))
    for fitted, held_out in (halves, halves[::-1]):
        shared = after[fitted].T @ before[fitted]
        if before.shape == after.shape:
            # Directions that few contents show are not turned: left to chance, the map would be worse than none.
            shared += _STILL * np.square(before[fitted]).sum() / before.shape[1] * np.eye(len(shared))
        left, _, right = np.linalg.svd(shared, full_matrices=False)
        images = after[held_out] @ (left @ right)
        norms = np.maximum(np.linalg.norm(images, axis=1), 1e-12)
        found[held_out] = (images * before[held_out]).sum(axis=1) / norms
    return found


def drift_figures(case: Case) -> tuple[Figure, ...]:
    """Mean cosines between the spaces, as they are and after the best orthogonal map."""
    before, after = common_vectors(case)
    as_it_is = cosines(before, after)
    return figures(
        ("content", "cosine, as it is", None if as_it_is is None else estimated(as_it_is)),
        ("content", "cosine after the best orthogonal map", estimated(mapped_cosines(before, after))),
    )


def stability_figures(case: Case, modality: str) -> tuple[Figure, ...]:
    """The share of nearest neighbours that stay: of users by their interests, of contents by their vectors."""
    found: list[tuple[str, str, Estimate | None, float]] = []
    quantity = f"nearest {NEIGHBOURS} kept"
    if case.behaviour.cuts:
        cut = case.behaviour.cuts[0]
        means = [interests(case.behaviour, space, modality, cut) for space in case.spaces]
        users = sorted(means[0].keys() & means[1].keys())
        users = list(np.random.default_rng(_SEED).permutation(users)[:_MOST_USERS])
        if len(users) > NEIGHBOURS:
            first, second = (_units(np.stack([of[user] for user in users])) for of in means)
            kept = estimated(shared_neighbours(first, second, NEIGHBOURS))
            found.append(("user", quantity, kept, _chance(len(users))))
    keys = sorted(k[1] for k in case.before.vectors.keys() & case.after.vectors.keys() if k[0] == modality)
    if len(keys) > NEIGHBOURS:
        first, second = (space.matrix(modality, keys).astype(np.float64) for space in case.spaces)
        kept = estimated(shared_neighbours(first, second, NEIGHBOURS))
        found.append((modality.replace("_", " "), quantity, kept, _chance(len(keys))))
    return figures(*found)


def pace_of(space: Space) -> dict[str, Estimate]:
    """Contents per second by modality, reading and decoding included; the first list of many warms up."""
    found = {}
    for pace in space.paces:
        skipped = 1 if len(pace.contents) > 2 else 0
        estimate = ratio(pace.contents[skipped:], pace.seconds[skipped:])
        if estimate is not None:
            found[pace.modality] = estimate
    return found


def core_hours_per_million(per_second: float, cores: int) -> float:
    """What encoding a million contents takes at a pace that all cores reach together."""
    return cores * 1e6 / per_second / 3600


def two_axes(vectors: Floats) -> Floats:
    """(n, 2): where vectors lie on the two axes along which they differ most."""
    centred = vectors - vectors.mean(axis=0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    return np.asarray(centred @ axes[:2].T, dtype=np.float64)


def turned_onto(points: Floats, target: Floats) -> Floats:
    """Points (n, 2) turned and mirrored so that they lie best on the target's; maps have no up or left."""
    left, _, right = np.linalg.svd(points.T @ target)
    return np.asarray(points @ (left @ right), dtype=np.float64)


def _units(vectors: Floats) -> Floats:
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(norms > 0, norms, 1.0)


def _chance(items: int) -> float:
    return min(1.0, NEIGHBOURS / max(items - 1, 1))


def same_space(case: Case, at_least: float) -> bool:
    """Whether nearly every content's two vectors have at least that cosine: indexes and profiles may be kept."""
    found = cosines(*common_vectors(case))
    return found is not None and bool(np.quantile(found, 0.05) >= at_least)


def slices_of(labels: Sequence[str], least: int) -> list[str]:
    """The groups with enough units, by name."""
    return sorted(name for name in set(labels) if list(labels).count(name) >= least)
