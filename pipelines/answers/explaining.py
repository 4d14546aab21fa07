"""Why an answer may differ from what was known offline at its moment, where that is nobody's fault.

The online store holds what the last materialisation wrote: a value that became true, or known, after it began is
online later. A row is explained only where all its values of the view are those that the store was due to hold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from feast import FeatureStore

from pipelines.answers.comparing import Mask, differing
from pipelines.answers.offline import OfflineFeatures, State
from pipelines.answers.online_states import NEVER, Ints, OnlineStates
from pipelines.answers.rows import SIMILARITY
from pipelines.delta import TableStore
from pipelines.errors import TableError
from pipelines.point_in_time.instants import as_integers
from pipelines.ranking.similarities import INTERESTS, PRODUCT_TABLE

LATER = "online later than known"
UNDER_WAY = "being written"
KEPT = "product vectors kept in memory"
CONSENT = "consent being taken in"
Reasons = npt.NDArray[np.object_]
K = TypeVar("K")


@dataclass(frozen=True)
class Asked:
    """Logged rows of one release and shape, and that release's features offline."""

    release: str
    rows: pa.Table
    offline: OfflineFeatures

    @cached_property
    def moments(self) -> Ints:
        """Microseconds since 1970 UTC, int64 (n,)."""
        return as_integers(self.rows.column("asked_at").combine_chunks())


class Explanations:
    """See the module. `kept_seconds`: how long servers keep products' vectors."""

    def __init__(self, store: TableStore, feast: FeatureStore, kept_seconds: float) -> None:
        self._states = OnlineStates(store, feast)
        self._kept = int(kept_seconds * 1e6)

    def of_view(self, asked: Asked, view: str, online: Mapping[str, pa.Array], differs: Mask) -> Reasons:
        """The reason per row where it `differs` and one is found, None elsewhere, object (n,)."""
        reasons = np.full(len(differs), None, object)
        names = [name.removeprefix(f"{view}__") for name in online]

        def known(rows: pa.Table, state: State) -> pa.Table:
            return asked.offline.features({view: names}, rows, state)

        for reason, later in ((LATER, 0), (UNDER_WAY, 1)):
            places = self._states.places(view, asked.moments, later)
            states = [self._states.state(view, p) if p != NEVER else None for p in places.tolist()]
            self._explain(reasons, reason, asked, online, differs, states, known)
        open_ = np.flatnonzero(differs & (reasons == None) & _nothing(online))  # noqa: E711
        if len(open_) and asked.offline.join_key(view) == "user_id":
            subjects = asked.rows.column("subject_id").take(pa.array(open_)).to_pylist()
            changing = self._states.consent_was_under_way(view, subjects, asked.moments[open_])
            reasons[open_[changing]] = CONSENT
        return reasons

    def of_similarities(
        self, asked: Asked, views: Sequence[str], online: Mapping[str, pa.Array], differs: Mask
    ) -> Reasons:
        """The same of similarities, which are made of rows of all `views`.

        Products' vectors are read one by one and kept for a while: near the end of their materialisation those of
        some products are new and those of others not. Which, nobody can tell, so a row is explained then by what its
        product alone decides: the cosines with the user's interests.
        """
        reasons = np.full(len(differs), None, object)
        own = {f"{SIMILARITY}__{interest.name}" for interest in INTERESTS}
        decided = {name: column for name, column in online.items() if name in own}
        [vectors] = [view for view in views if view.startswith(PRODUCT_TABLE)]
        before, after = (self._states.places(vectors, asked.moments + shift) for shift in (-self._kept, self._kept))

        def known(rows: pa.Table, states: tuple[State, ...]) -> pa.Table:
            return asked.offline.similarities(rows, views, states)

        for some, among in ((online, differs), (decided, differs & (before != after))):
            for reason, places in self._places(asked, views, vectors):
                states = [
                    tuple(map(self._states.state, views, row)) if NEVER not in row else None
                    for row in zip(*(of_view.tolist() for of_view in places), strict=True)
                ]
                self._explain(reasons, reason, asked, some, among, states, known)
        return reasons

    def _places(self, asked: Asked, views: Sequence[str], vectors: str) -> Iterator[tuple[str, list[Ints]]]:
        """By reason the numbers of the views' states: the last ones, one that is kept, one that is being written."""
        last = [self._states.places(view, asked.moments) for view in views]
        yield LATER, last
        kept = self._states.places(vectors, asked.moments - self._kept)
        yield KEPT, [kept if view == vectors else places for view, places in zip(views, last, strict=True)]
        for n, view in enumerate(views):
            coming = self._states.places(view, asked.moments, later=1)
            yield UNDER_WAY, [coming if i == n else places for i, places in enumerate(last)]

    def _explain(
        self,
        reasons: Reasons,
        reason: str,
        asked: Asked,
        online: Mapping[str, pa.Array],
        differs: Mask,
        states: Sequence[K | None],
        known: Callable[[pa.Table, K], pa.Table],
    ) -> None:
        """Note the reason where all values are those known in the row's state."""
        together: dict[K, list[int]] = {}
        for row in np.flatnonzero(differs).tolist():
            state = states[row]
            if reasons[row] is None and state is not None:
                together.setdefault(state, []).append(row)
        for state, rows in together.items():
            places = pa.array(rows)
            try:
                found = known(asked.rows.take(places), state)
            except TableError:
                # Retention took that version: nothing can be told by it.
                continue
            apart = [
                differing(name, column.take(places), found.column(name).combine_chunks())
                for name, column in online.items()
            ]
            reasons[np.array(rows)[~np.any(apart, axis=0)]] = reason


def _nothing(online: Mapping[str, pa.Array]) -> Mask:
    """Whether a row has no value at all, bool (n,)."""
    nothing: Mask = np.all([np.asarray(column.is_null()) for column in online.values()], axis=0)
    return nothing
