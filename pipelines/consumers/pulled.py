"""Training sets as consumers use them: pulled point-in-time, read column by column."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from pipelines.delta import TableStore
from pipelines.governance.runs import Run
from pipelines.releases.manifest import Release, view_name
from pipelines.tables.schema import Table
from pipelines.training.entities import TIMESTAMP
from pipelines.training.manifest import Manifest
from pipelines.training.training_set import training_set

Floats32 = npt.NDArray[np.float32]
_NUMBERS = {"bigint", "int", "double", "boolean"}
_DAY = 86_400_000_000  # microseconds
PURPOSE = "personalisation"


class Numbers(NamedTuple):
    """Scalar features, float32 (rows, names), NaN where nothing is known."""

    names: tuple[str, ...]
    values: Floats32

    def column(self, name: str) -> Floats32:
        """The feature of a name: (rows,)."""
        found: Floats32 = self.values[:, self.names.index(name)]
        return found


@dataclass(frozen=True)
class Pulled:
    """A training set on disk: its name, its file, and what it was made from."""

    name: str
    path: Path
    manifest: Manifest
    release: Release

    def columns(self, wanted: Iterable[str], moment: datetime | None = None) -> pa.Table:
        """Columns of the rows of one moment, or of all rows, in their order."""
        chosen = None if moment is None else ds.field(TIMESTAMP) == pa.scalar(moment, pa.timestamp("us", "UTC"))
        return ds.dataset(self.path).to_table(list(wanted), filter=chosen)

    def name_of(self, table: Table, feature: str) -> str:
        """The column of a feature."""
        return f"{view_name(table, PURPOSE if table.purposes else None, self.release)}__{feature}"

    def numbers(self, tables: Sequence[Table], moment: datetime | None = None) -> Numbers:
        """Every scalar of the tables; an instant as its age in days at the row's moment."""
        found = [(t, c) for t in tables for c in t.feature_columns if c.type in {*_NUMBERS, "timestamp"}]
        rows = self.columns([TIMESTAMP, *(self.name_of(t, c.name) for t, c in found)], moment)
        at = _floats(rows[TIMESTAMP])
        values = np.empty((len(rows), len(found)), dtype=np.float32)
        for place, (table, column) in enumerate(found):
            value = _floats(rows[self.name_of(table, column.name)])
            values[:, place] = (at - value) / _DAY if column.type == "timestamp" else value
        return Numbers(tuple(column.name for _, column in found), values)

    def vectors(self, table: Table, feature: str, moment: datetime | None = None) -> Floats32 | None:
        """A vector feature (rows, dimensions), NaN rows where there is none; None where no row has one."""
        name = self.name_of(table, feature)
        lists = self.columns([name], moment)[name].combine_chunks()
        known = lists.is_valid().to_numpy(zero_copy_only=False)
        if not known.any():
            return None
        found = lists.drop_null().flatten().to_numpy(zero_copy_only=False).reshape(int(known.sum()), -1)
        whole = np.full((len(known), found.shape[1]), np.nan, dtype=np.float32)
        whole[known] = found
        return whole


@dataclass(frozen=True)
class Puller:
    """Pulls training sets of one release into a folder, as a run that obeys the consent in force at its time."""

    store: TableStore
    run: Run
    release: Release
    folder: Path

    def pull(self, name: str, entities: pa.Table, service: str) -> Pulled:
        """The features of a service for entity rows whose ids are subject keys (or product ids) already."""
        labels, out = self.folder / f"{name}_entities.parquet", self.folder / f"{name}.parquet"
        pq.write_table(entities, labels)
        made = training_set(self.store, self.run, labels, service, out, release=self.release.name, keyed=True)
        return Pulled(name, out, made.manifest, self.release)


def entity_rows(key: str, ids: Sequence[str], moments: Sequence[datetime]) -> pa.Table:
    """Entity rows of ids and aware moments."""
    return pa.table({key: pa.array(ids, pa.string()), TIMESTAMP: pa.array(moments, pa.timestamp("us", "UTC"))})


def _floats(column: pa.ChunkedArray) -> npt.NDArray[np.float64]:
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("us", "UTC")).cast(pa.int64())
    found: npt.NDArray[np.float64] = column.cast(pa.float64()).to_numpy()
    return found
