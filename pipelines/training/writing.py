"""Writing a training set: whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

_ROWS_PER_GROUP = 65_536


def write_table(path: Path, manifest_path: Path, parts: Iterator[pa.Table], manifest: Callable[[Path], str]) -> str:
    """Write the parts as Parquet or CSV, by the name's ending, and the manifest; both appear when complete.

    `manifest` makes the manifest's text from the written file; it is returned.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _appearing(path) as unfinished, _appearing(manifest_path) as unfinished_manifest:
        _write_parts(unfinished, parts, csv=path.suffix.lower() == ".csv")
        text = manifest(unfinished)
        unfinished_manifest.write_text(text, encoding="utf-8")
    return text


@contextmanager
def _appearing(path: Path) -> Iterator[Path]:
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        yield unfinished
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _write_parts(path: Path, parts: Iterator[pa.Table], *, csv: bool) -> None:
    shaped: Callable[[pa.Table], pa.Table] = _lists_as_json if csv else (lambda table: table)
    first = shaped(next(parts))
    schema = first.schema
    regrouped = _of_equal_size(chain([first], (shaped(part).cast(schema) for part in parts)))
    with pa_csv.CSVWriter(path, schema) if csv else pq.ParquetWriter(path, schema) as writer:
        for rows in regrouped:
            writer.write_table(rows, _ROWS_PER_GROUP)


def _of_equal_size(parts: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """The same rows in tables of a row group each: the file's bytes do not depend on how its rows were made."""
    kept: list[pa.Table] = []
    for part in parts:
        kept.append(part)
        if sum(map(len, kept)) < _ROWS_PER_GROUP:
            continue
        whole = pa.concat_tables(kept)
        full = len(whole) - len(whole) % _ROWS_PER_GROUP
        for start in range(0, full, _ROWS_PER_GROUP):
            yield whole.slice(start, _ROWS_PER_GROUP).combine_chunks()
        kept = [whole.slice(full)]
    yield pa.concat_tables(kept).combine_chunks()


def _lists_as_json(table: pa.Table) -> pa.Table:
    for position, column in enumerate(table.schema):
        if pa.types.is_nested(column.type):
            values = table.column(column.name).to_pylist()
            texts = pa.array([None if v is None else json.dumps(v, default=str) for v in values], pa.string())
            table = table.set_column(position, column.name, texts)
    return table
