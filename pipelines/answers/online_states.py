"""What the online store held at a moment, as far as the records of materialisation tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
from feast import FeatureStore
from pyspark.sql import functions as F

from pipelines.answers.offline import State
from pipelines.delta import TableStore
from pipelines.frames import frame_of
from pipelines.point_in_time.history_plan import NO_TABLE
from pipelines.point_in_time.instants import as_integers
from pipelines.serving.progress import online_store_id
from pipelines.tables.features import USER_CONSENT
from pipelines.tables.governance import MATERIALISED

Ints = npt.NDArray[np.int64]
# Places of states: before the first materialisation, and of one that never came.
_BEFORE, NEVER = -1, -2
_NOTHING = State(NO_TABLE, datetime(1970, 1, 1, tzinfo=UTC))


class OnlineStates:
    """Materialisations into the present online store, by view, in the order of their ends.

    A materialisation of a view ends before its record is written; nothing tells when it began.
    """

    def __init__(self, store: TableStore, feast: FeatureStore) -> None:
        self._store = store
        records = store.read(MATERIALISED).where(F.col("online_store") == online_store_id(feast))
        rows = records.select("view", "table_version", "as_of", "written_at").orderBy("written_at").toArrow()
        self._ends: dict[str, list[int]] = {}
        self._states: dict[str, list[State]] = {}
        ends = as_integers(rows.column("written_at").combine_chunks()).tolist()
        for row, end in zip(rows.drop_columns("written_at").to_pylist(), ends, strict=True):
            self._ends.setdefault(row["view"], []).append(end)
            self._states.setdefault(row["view"], []).append(State(row["table_version"], row["as_of"]))

    def places(self, view: str, moments: Ints, later: int = 0) -> Ints:
        """The number of each moment's state: that of the last end before it, or so many ends later (else NEVER)."""
        ends = self._ends.get(view, [])
        places = np.searchsorted(np.array(ends, np.int64), moments, side="right") - 1 + later
        return np.where(places < len(ends), places, NEVER).astype(np.int64)

    def state(self, view: str, place: int) -> State:
        return _NOTHING if place == _BEFORE else self._states[view][place]

    def consent_was_under_way(self, view: str, subjects: Sequence[str | None], moments: Ints) -> npt.NDArray[np.bool_]:
        """Whether each subject's consent had changed when asked, and the view was not written since, bool (n,)."""
        changes = self._consent_changes(subjects)
        ends = np.array([0, *self._ends.get(view, [])], np.int64)
        last_end = ends[np.searchsorted(ends, moments, side="right") - 1]
        return np.array(
            [
                any(end < change <= moment for change in changes.get(subject or "", ()))
                for subject, moment, end in zip(subjects, moments.tolist(), last_end.tolist(), strict=True)
            ],
            bool,
        )

    def _consent_changes(self, subjects: Sequence[str | None]) -> Mapping[str, Sequence[int]]:
        asked = frame_of(self._store.spark, [(s,) for s in sorted({s for s in subjects if s})], "user_id string")
        rows = self._store.read(USER_CONSENT).join(asked, "user_id", "left_semi").select("user_id", "written_at")
        found: dict[str, list[int]] = {}
        table = rows.toArrow()
        times = as_integers(table.column("written_at").combine_chunks()).tolist()
        for subject, time in zip(table.column("user_id").to_pylist(), times, strict=True):
            found.setdefault(subject, []).append(time)
        return found
