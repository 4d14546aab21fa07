"""What is learned from: pairs of contents and texts by kind, and batches of them with hard negatives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy import sparse

Places = npt.NDArray[np.int64]

TEXT_KINDS = ("title", "search")
"""A text on the left: a product's title, a query. The other kind, "together", has a product's pictures there."""
KINDS = (*TEXT_KINDS, "together")


@dataclass(frozen=True)
class Pairs:
    """Left places (texts, or contents), right places (contents) and weights, all (n,)."""

    left: Places
    right: Places
    weight: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.left)

    @cached_property
    def cumulated(self) -> npt.NDArray[np.float64]:
        return np.cumsum(self.weight)


@dataclass(frozen=True)
class Lessons:
    """Pairs by kind, and what must be known of contents to choose what they are told apart from.

    `category` (contents,) is a code, -1 where a content is not learned from; `shown` (contents, pictures) says which
    pictures each shows: contents with one in common are never told apart.
    """

    pairs: Mapping[str, Pairs]
    category: Places
    shown: sparse.csr_array
    texts: int
    _by_category: dict[int, Places] = field(default_factory=dict, compare=False)

    @cached_property
    def alike(self) -> sparse.csr_array:
        """(contents, contents): whether they show a picture in common; each is like itself."""
        return sparse.csr_array((self.shown @ self.shown.T) > 0)

    @cached_property
    def named(self) -> sparse.csr_array:
        """(texts, contents): which texts are right for which contents, of those alike, too."""
        left = np.concatenate([self.pairs[kind].left for kind in TEXT_KINDS])
        right = np.concatenate([self.pairs[kind].right for kind in TEXT_KINDS])
        shape = (max(self.texts, 1), len(self.category))
        known = sparse.csr_array((np.ones(len(left), np.float32), (left, right)), shape=shape)
        return sparse.csr_array((known @ self.alike.astype(np.float32)) > 0)

    def of_category(self, code: int) -> Places:
        """The contents of a category."""
        if code not in self._by_category:
            self._by_category[code] = np.flatnonzero(self.category == code)
        return self._by_category[code]


@dataclass(frozen=True)
class Part:
    """A batch's pairs of one kind: left places, the place of each right one among the candidates, and which
    candidates are right as well (n, candidates)."""

    kind: str
    left: Places
    right: Places
    known: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Batch:
    """Parts by kind, with the contents (candidates,) that all of them are told apart from."""

    parts: tuple[Part, ...]
    candidates: Places


def drawn(lessons: Lessons, sizes: Mapping[str, int], hard: int, anywhere: int, seed: tuple[int, ...]) -> Batch:
    """A batch of `sizes` pairs by kind. Candidates are all their right sides, for each `hard` others of its category,
    and `anywhere` of the whole catalogue. The same seed gives the same batch, so a resumed run needs no random state.
    """
    rng = np.random.default_rng(seed)
    chosen = {kind: _chosen(lessons.pairs[kind], size, rng) for kind, size in sizes.items() if len(lessons.pairs[kind])}
    positives = np.unique(np.concatenate([right for _, right in chosen.values()]))
    others = [rng.choice(lessons.of_category(int(lessons.category[p])), hard) for p in positives if hard]
    catalogue = np.flatnonzero(lessons.category >= 0)
    candidates = np.unique(np.concatenate([positives, *others, rng.choice(catalogue, anywhere)]))
    parts = []
    for kind, (left, right) in chosen.items():
        known = lessons.named if kind in TEXT_KINDS else lessons.alike
        # Of what was seen together only the pictures themselves are spared: everything popular goes with everything.
        spared = known[left][:, candidates].toarray() | (
            lessons.alike[right][:, candidates].toarray() if kind not in TEXT_KINDS else False
        )
        parts.append(Part(kind, left, np.searchsorted(candidates, right), spared))
    return Batch(tuple(parts), candidates)


def _chosen(pairs: Pairs, size: int, rng: np.random.Generator) -> tuple[Places, Places]:
    places = np.searchsorted(pairs.cumulated, rng.random(size) * pairs.cumulated[-1], side="right")
    return pairs.left[places], pairs.right[places]
