"""Logged answers as columns: rows of one shape have the same names in the same order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from pipelines.answers.offline import view_of

_MAPS = ("numbers", "vectors", "texts")


@dataclass(frozen=True)
class Shape:
    """Names of the values in rows of a shape by the column they are in, and the views they are of."""

    names: Mapping[str, Sequence[str]]
    views: tuple[str, ...]

    def features(self) -> dict[str, list[str]]:
        """The wanted features by view, `similarity` among them."""
        found: dict[str, list[str]] = {}
        for names in self.names.values():
            for name in names:
                view, feature = view_of(name, self.views)
                found.setdefault(view, []).append(feature)
        return found


def without_names(answers: DataFrame) -> DataFrame:
    """The rows of `answers` with lists of values in place of the maps: names would be most of what is collected."""
    values = {column: F.map_values(column) for column in _MAPS}
    return answers.withColumns(values).drop("event_timestamps", "log_file")


def shapes_of(answers: DataFrame) -> dict[str, Shape]:
    """The shapes of the given rows of `answers`, by their hash."""
    keys = [F.first(F.map_keys(column)).alias(column) for column in (*_MAPS, "event_timestamps")]
    rows = answers.groupBy("shape").agg(*keys).collect()
    return {row["shape"]: Shape({c: row[c] for c in _MAPS}, tuple(row["event_timestamps"])) for row in rows}


def columns_of(rows: pa.Table, shape: Shape) -> Iterator[tuple[str, pa.Array]]:
    """Each value's name and column (n,), of rows of one shape as `without_names` has them."""
    for column, names in shape.names.items():
        flat = pc.list_flatten(rows.column(column).combine_chunks())
        for place, name in enumerate(names):
            yield name, flat.take(pa.array(np.arange(len(rows)) * len(names) + place))
