"""What is known offline of logged answers: features and similarities, at a moment or as the online store had them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
import pyarrow as pa

from pipelines.answers.rows import SIMILARITY
from pipelines.point_in_time.history_plan import HistoryView
from pipelines.point_in_time.instants import UTC_MICROS
from pipelines.point_in_time.join import point_in_time_join
from pipelines.ranking.similarities import PRODUCT_TABLE, USER_COLUMNS
from pipelines.releases.pin import any_release
from pipelines.serving.repo import declared_views, feature_store
from pipelines.settings import Settings
from pipelines.training.manifest import ViewPart
from pipelines.training.offline_store import retrieval_of
from pipelines.training.ranking_rows import RankingRows, compared

_COMPARED_TABLES = frozenset({PRODUCT_TABLE, *(table for table, _ in USER_COLUMNS)})
_ROWS_AT_ONCE = 1_000_000


@dataclass(frozen=True)
class State:
    """What a materialisation wrote of a view: the newest rows up to `as_of` in a version of its table."""

    version: int
    as_of: datetime


class OfflineFeatures:
    """The views of one release."""

    def __init__(self, settings: Settings, release: str) -> None:
        """Raises UnknownReleaseError where the home no longer has the release's manifest."""
        self._settings = settings
        views = declared_views(settings, any_release(settings, release))
        self._parts = {name: ViewPart.of(view) for name, view in views.items()}
        self._retrieval = retrieval_of(feature_store(settings).config.offline_store)

    def join_key(self, view: str) -> str:
        return self._parts[view].join_key

    def similarity_views(self, purposes: Iterable[str]) -> list[str]:
        """The views that similarities are made of; their rows are kept for one of the purposes, or for none."""
        wanted = {None, *purposes}
        return [
            name
            for name, part in self._parts.items()
            if part.table in _COMPARED_TABLES and part.partition.get("purpose") in wanted
        ]

    def features(self, names: Mapping[str, Sequence[str]], rows: pa.Table, state: State | None = None) -> pa.Table:
        """Columns `<view>__<feature>` of the wanted features by view.

        `rows` have subject_id, product_id and asked_at. Each gets what was known at its moment, or, with a state,
        what the online store had then.
        """
        views = [self._history(view, features, state) for view, features in names.items()]
        with self._retrieval.opened(views) as (histories, engine):
            joined = point_in_time_join(_entities(rows), _moments(rows, state), histories, engine)
        [found] = joined.features(max(len(rows), 1))
        return found

    def similarities(self, rows: pa.Table, views: Sequence[str], states: Sequence[State] | None = None) -> pa.Table:
        """Columns `similarity__<name>` of subjects and products, as known at each row's moment or in states by view."""
        given: Sequence[State | None] = states or [None] * len(views)
        histories = [
            self._history(view, compared(self._parts[view].table), state)
            for view, state in zip(views, given, strict=True)
        ]
        newest = max(states, key=lambda state: state.as_of) if states else None
        with self._retrieval.opened(histories) as (opened, engine):
            tables = {self._parts[v].table: history for v, history in zip(views, opened, strict=True)}
            ranking = RankingRows(_entities(rows), _moments(rows, newest), tables, (), engine)
            everybody = pa.array(np.ones(len(rows), bool))
            return pa.concat_tables(ranking.slices(_ROWS_AT_ONCE, everybody))

    def _history(self, view: str, features: Sequence[str], state: State | None) -> HistoryView:
        part = self._parts[view].model_copy(update={"features": [*features]})
        if state is None:
            return part.history(view, self._settings)
        pinned = part.model_copy(update={"delta_version": state.version}).history(view, self._settings)
        # The online store takes in what there is by the run's time, whenever it was created.
        return replace(pinned, late_rows=True)


def _entities(rows: pa.Table) -> pa.Table:
    return pa.table({"user_id": rows.column("subject_id"), "product_id": rows.column("product_id")})


def _moments(rows: pa.Table, state: State | None) -> pa.Array:
    if state is None:
        return rows.column("asked_at").combine_chunks()
    return pa.repeat(pa.scalar(state.as_of, UTC_MICROS), len(rows))


def view_of(feature: str, views: Iterable[str]) -> tuple[str, str]:
    """The view and the name of `<view>__<feature>`. Raises KeyError where no view fits."""
    for view in (SIMILARITY, *views):
        if feature.startswith(f"{view}__"):
            return view, feature.removeprefix(f"{view}__")
    raise KeyError(feature)
