"""An answer as a program uses it: numpy columns, an Arrow table, or rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from pipelines.client.ranking import unpacked
from pipelines.online.blocks import IS_PRESENT, STATUS_NAMES, Block
from pipelines.online.values import instant

Matrix = npt.NDArray[Any]
_TIME = pa.timestamp("us", tz="UTC")


class FeatureRow(BaseModel):
    """One id's features by `view__feature`; None where the status is not PRESENT. Instants are microseconds (UTC)."""

    model_config = ConfigDict(frozen=True)
    id: str
    release: str | None
    values: dict[str, Any]
    statuses: dict[str, str]
    event_timestamps: dict[str, datetime | None]


@dataclass(frozen=True)
class ViewFeatures:
    """A view's features of n ids.

    Attributes:
        view: its name; `features`: names of its F features.
        statuses: uint8 (n, F), numbered as STATUS_NAMES.
        event_timestamps: int64 (n,), microseconds since 1970 UTC, 0 for none.
        integers, floats: names, and an int64 or float64 matrix (n, names).
        vectors: a matrix (n, d) by name, NaN where there is none.
        others: lists by name, None where there is none.
    """

    view: str
    features: Sequence[str]
    statuses: npt.NDArray[np.uint8]
    event_timestamps: npt.NDArray[np.int64]
    integers: tuple[Sequence[str], Matrix]
    floats: tuple[Sequence[str], Matrix]
    vectors: Mapping[str, Matrix]
    others: Mapping[str, Sequence[Any]]

    @classmethod
    def of_block(cls, block: Block) -> ViewFeatures:
        vectors, others = {}, {}
        for name in block.plan.others:
            column = block.column(name) if block.is_vector(name) else block.values(name)
            if isinstance(column, np.ndarray):
                vectors[name] = column
            else:
                others[name] = [v.tolist() if isinstance(v, np.ndarray) else v for v in column]
        plan = block.plan
        numbers = block.integers(), block.floats()
        return cls(plan.label, plan.features, block.statuses, block.times, *numbers, vectors, others)

    @classmethod
    def of_document(cls, view: Mapping[str, Any]) -> ViewFeatures:
        """Of an answer's MessagePack form (`renders.py` of the server)."""
        return cls(
            view["view"],
            view["features"],
            unpacked(view["statuses"]),
            unpacked(view["event_timestamps"]),
            (view["integers"]["names"], unpacked(view["integers"]["values"])),
            (view["floats"]["names"], unpacked(view["floats"]["values"])),
            {name: unpacked(packed) for name, packed in view["vectors"].items()},
            view["others"],
        )

    def present(self, name: str) -> npt.NDArray[np.bool_]:
        """Whether each id has a value, bool (n,)."""
        has: npt.NDArray[np.bool_] = self.statuses[:, list(self.features).index(name)] == IS_PRESENT
        return has

    def column(self, name: str) -> Matrix | Sequence[Any]:
        """A feature's values: int64 or float64 (n,), a matrix (n, d), or a list; meaningful where `present`."""
        for names, values in (self.integers, self.floats):
            if name in names:
                column: Matrix = values[:, list(names).index(name)]
                return column
        return self.vectors[name] if name in self.vectors else self.others[name]

    def values(self, name: str) -> list[Any]:
        """A feature's values as Python's, None where there is none."""
        column = self.column(name)
        listed = column.tolist() if isinstance(column, np.ndarray) else column
        return [value if has else None for value, has in zip(listed, self.present(name), strict=True)]


@dataclass(frozen=True)
class Features:
    """What was answered for n ids, in the order asked, wholly of one release."""

    ids: Sequence[str]
    release: str | None
    service: str | None
    views: Mapping[str, ViewFeatures]

    def matrix(self) -> tuple[list[str], npt.NDArray[np.float64]]:
        """Names (`view__feature`) and values of all numbers, float64 (n, numbers), NaN where there is none."""
        names, columns = [], []
        for view in self.views.values():
            for numbers, values in (view.integers, view.floats):
                places = [list(view.features).index(name) for name in numbers]
                names += [f"{view.view}__{name}" for name in numbers]
                columns.append(np.where(view.statuses[:, places] == IS_PRESENT, values, np.nan))
        return names, np.concatenate(columns, axis=1) if columns else np.zeros((len(self.ids), 0))

    def to_arrow(self) -> pa.Table:
        """A column `id`, then of each view its features as `view__feature` and `view__event_timestamp`."""
        columns: dict[str, Any] = {"id": pa.array(self.ids, pa.string())}
        for view in self.views.values():
            for name in view.features:
                columns[f"{view.view}__{name}"] = pa.array(view.values(name))
            times = pa.array(view.event_timestamps, pa.int64(), mask=view.event_timestamps == 0)
            columns[f"{view.view}__event_timestamp"] = times.cast(_TIME)
        return pa.table(columns)

    def rows(self) -> list[FeatureRow]:
        """One row per id."""
        values = {f"{v.view}__{name}": v.values(name) for v in self.views.values() for name in v.features}
        statuses = {
            f"{v.view}__{name}": [STATUS_NAMES[status] for status in v.statuses[:, i]]
            for v in self.views.values()
            for i, name in enumerate(v.features)
        }
        times = {v.view: [instant(t) if t else None for t in v.event_timestamps.tolist()] for v in self.views.values()}
        return [
            FeatureRow(
                id=identifier,
                release=self.release,
                values={name: column[i] for name, column in values.items()},
                statuses={name: column[i] for name, column in statuses.items()},
                event_timestamps={view: column[i] for view, column in times.items()},
            )
            for i, identifier in enumerate(self.ids)
        ]
