"""What a category, a colour or a style looks like in an encoder's space: the mean vector of its products."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Prototypes:
    """Unit vectors (names, dimensions) of what sets each name apart from the mean of all products, `centre`."""

    names: tuple[str, ...]
    vectors: Floats
    centre: Floats

    @classmethod
    def of(cls, vectors: Floats, labels: Sequence[str]) -> Prototypes:
        """Of products' vectors (products, dimensions) and what each product is."""
        names, codes = np.unique(np.asarray(labels), return_inverse=True)
        centre = vectors.mean(axis=0)
        sums = np.zeros((len(names), vectors.shape[1]))
        np.add.at(sums, codes, vectors)
        means = sums / np.bincount(codes)[:, None]
        return cls(tuple(names.tolist()), _units(means - centre), centre)

    def likeness(self, vectors: Floats) -> Floats:
        """Cosine of each vector, the centre taken off, with each prototype: (vectors, names)."""
        found: Floats = _units(vectors - self.centre) @ self.vectors.T
        return found

    def nearest(self, vectors: Floats) -> list[str]:
        return [self.names[place] for place in self.likeness(vectors).argmax(axis=1).tolist()]


def nearest_without_itself(vectors: Floats, labels: Sequence[str]) -> list[str]:
    """The nearest prototype of each product when its own vector is left out of it: what the encoder can tell."""
    prototypes = Prototypes.of(vectors, labels)
    place = {name: number for number, name in enumerate(prototypes.names)}
    own = np.array([place[label] for label in labels])
    counts = np.bincount(own, minlength=len(place))[own]
    sums = np.zeros((len(place), vectors.shape[1]))
    np.add.at(sums, own, vectors)
    others = (sums[own] - vectors) / np.maximum(counts - 1, 1)[:, None] - prototypes.centre
    likeness = prototypes.likeness(vectors)
    rest = (_units(others) * _units(vectors - prototypes.centre)).sum(axis=1)
    # A product that is alone of its kind leaves no prototype behind.
    likeness[np.arange(len(vectors)), own] = np.where(counts > 1, rest, -np.inf)
    return [prototypes.names[number] for number in likeness.argmax(axis=1).tolist()]


def _units(vectors: Floats) -> Floats:
    norm = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / np.where(norm > 0, norm, 1.0)
