"""Vectors of contents in memory, by encoder version and modality."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pyarrow.compute as pc

from pipelines.delta import TableStore
from pipelines.features.interests import MODALITIES
from pipelines.features.kernel import Ints, Vectors
from pipelines.point_in_time.partitions import read_partitions
from pipelines.releases.manifest import Release
from pipelines.tables.aggregates import EMBEDDINGS

Version = tuple[str, str]
_KEPT_FREE = 1024


class _Matrix:
    """Vectors in rows that are added to without copying all of them each time."""

    def __init__(self, dimensions: int, ids: Sequence[str], vectors: Vectors) -> None:
        self.place = {content: row for row, content in enumerate(ids)}
        self._rows = np.zeros((len(ids) + _KEPT_FREE, dimensions), dtype=np.float32)
        self._rows[: len(ids)] = vectors

    @property
    def vectors(self) -> Vectors:
        """(count, dimensions)."""
        return self._rows[: len(self.place)]

    def add(self, content: str, vector: Vectors) -> None:
        row = self.place.setdefault(content, len(self.place))
        if row >= len(self._rows):
            self._rows = np.concatenate([self._rows, np.zeros_like(self._rows)])
        self._rows[row] = vector


class ContentVectors:
    """The live releases' vectors of everything that interests are made of. Memory ∝ contents x dimensions."""

    def __init__(self, matrices: Mapping[tuple[Version, str], _Matrix]) -> None:
        self._matrices = dict(matrices)

    @classmethod
    def read(cls, store: TableStore, releases: Iterable[Release]) -> ContentVectors:
        """All vectors that the home holds."""
        matrices: dict[tuple[Version, str], _Matrix] = {}
        for release in releases:
            for modality, table in MODALITIES.items():
                part = table.depends_on or ""
                key = release.encoder_for(part), modality
                if key not in matrices:
                    matrices[key] = _read(store, *key, release.encoders[part].dimensions)
        return cls(matrices)

    def matrix(self, version: Version, modality: str) -> Vectors:
        """(count, dimensions) float32."""
        return self._matrices[version, modality].vectors

    def rows(self, version: Version, modality: str, contents: Iterable[str]) -> Ints:
        """Rows of the matrix; -1 where a content has no vector."""
        place = self._matrices[version, modality].place
        return np.array([place.get(content, -1) for content in contents], dtype=np.int64)

    def missing(self, version: Version, modality: str, contents: Iterable[str]) -> set[str]:
        """Contents without a vector."""
        return set(contents) - self._matrices[version, modality].place.keys()

    def add(self, version: Version, modality: str, content: str, vector: Vectors) -> None:
        """Take in a content's vector."""
        self._matrices[version, modality].add(content, vector)


def _read(store: TableStore, version: Version, modality: str, dimensions: int) -> _Matrix:
    nothing = np.zeros((0, dimensions), dtype=np.float32)
    if not store.exists(EMBEDDINGS):
        return _Matrix(dimensions, [], nothing)
    partition = {"encoder": version[0], "encoder_version": version[1], "modality": modality}
    rows = read_partitions(store.location(EMBEDDINGS), ["content_hash", "vector"], **partition)
    rows = rows.filter(pc.is_valid(rows["vector"]))
    if not rows.num_rows:
        return _Matrix(dimensions, [], nothing)
    vectors = np.frombuffer(b"".join(rows["vector"].to_pylist()), dtype="<f4").reshape(rows.num_rows, -1)
    return _Matrix(dimensions, rows["content_hash"].to_pylist(), vectors)
