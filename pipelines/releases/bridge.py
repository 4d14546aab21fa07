"""A map of one encoder's vectors into another's space, to ask a catalogue that is not encoded anew yet.

In the spirit of Drift-Adapter (Vejendla, EMNLP 2025): an orthogonal map (Schönemann 1966), or a low-rank affine one
(here reduced-rank ridge regression), fitted on contents that both encoders have vectors of. It is a crutch until a
backfill ends: nothing uses one unless a caller does.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from pipelines.errors import ReleaseFileError

Matrix: TypeAlias = npt.NDArray[np.float64]
RANKS, RIDGES = (32, 128), (0.003, 0.03, 0.3, 3.0)
"""What is tried of a low-rank map: dimensions it keeps, and how much of a direction's mean spread holds it back."""
_STILL = 0.01  # of the mean spread along an axis
_SEED = 1


@dataclass(frozen=True)
class Bridge:
    """`mapped(v) = unit(v @ matrix + offset)`; matrix float32 (new dimensions, old), offset float32 (old dimensions,).

    `new` and `old` are the encoders' keys, `kind` is "orthogonal" or "low-rank affine".
    """

    new: str
    old: str
    kind: str
    matrix: npt.NDArray[np.float32]
    offset: npt.NDArray[np.float32]

    def mapped(self, vectors: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
        """Vectors of the new encoder (n, new dimensions) in the old one's space, (n, old dimensions) of unit length."""
        return apply(self.matrix, self.offset, vectors).astype(np.float32)

    def write(self, path: Path) -> None:
        """As numpy's archive, without pickle."""
        said = json.dumps({"new": self.new, "old": self.old, "kind": self.kind})
        with path.open("wb") as out:
            np.savez(out, matrix=self.matrix, offset=self.offset, said=np.frombuffer(said.encode(), np.uint8))

    @classmethod
    def read(cls, path: Path) -> Bridge:
        """Inverse of `write`. Raises ReleaseFileError."""
        try:
            with np.load(path, allow_pickle=False) as found:
                said = json.loads(found["said"].tobytes())
                return cls(said["new"], said["old"], said["kind"], found["matrix"], found["offset"])
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise ReleaseFileError(f"{path} is no bridge between encoders: {error}") from error


def apply(matrix: npt.NDArray, offset: npt.NDArray, vectors: npt.NDArray) -> Matrix:
    """Rows of unit length."""
    images = vectors.astype(np.float64) @ matrix + offset
    return np.asarray(images / np.maximum(np.linalg.norm(images, axis=1, keepdims=True), 1e-12), dtype=np.float64)


def orthogonal(new: Matrix, old: Matrix) -> tuple[Matrix, Matrix]:
    """The turn that brings rows of `new` nearest to those of `old`, semi-orthogonal where dimensions differ."""
    shared = new.T @ old
    if new.shape == old.shape:
        # Directions that few contents show are not turned: left to chance, the map would be worse than none.
        shared += _STILL * np.square(old).sum() / old.shape[1] * np.eye(len(shared))
    left, _, right = np.linalg.svd(shared, full_matrices=False)
    return left @ right, np.zeros(old.shape[1])


def low_rank_affine(new: Matrix, old: Matrix) -> tuple[Matrix, Matrix]:
    """Ridge regression cut to the directions of `old` that it explains most; rank and ridge as they do best on a fifth
    of the rows that is held out."""
    held_out = np.random.default_rng(_SEED).permutation(len(new)) < max(1, len(new) // 5)
    best, chosen = -np.inf, (RANKS[0], RIDGES[0])
    for ridge in RIDGES:
        for rank in RANKS:
            found = apply(*_reduced(new[~held_out], old[~held_out], rank, ridge), new[held_out])
            likeness = float((found * old[held_out]).sum(axis=1).mean())
            if likeness > best:
                best, chosen = likeness, (rank, ridge)
    return _reduced(new, old, *chosen)


KINDS: dict[str, Callable[[Matrix, Matrix], tuple[Matrix, Matrix]]] = {
    "orthogonal": orthogonal,
    "low-rank affine": low_rank_affine,
}


def _reduced(new: Matrix, old: Matrix, rank: int, ridge: float) -> tuple[Matrix, Matrix]:
    middle_new, middle_old = new.mean(axis=0), old.mean(axis=0)
    given, wanted = new - middle_new, old - middle_old
    spread = np.square(given).sum() / given.shape[1]
    slope = np.linalg.solve(given.T @ given + ridge * spread * np.eye(given.shape[1]), given.T @ wanted)
    _, _, directions = np.linalg.svd(given @ slope, full_matrices=False)
    kept = directions[:rank]
    slope = slope @ kept.T @ kept
    return slope, middle_old - middle_new @ slope
