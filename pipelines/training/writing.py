"""Writing a training set: whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq


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
    with pa_csv.CSVWriter(path, first.schema) if csv else pq.ParquetWriter(path, first.schema) as writer:
        writer.write_table(first)
        for part in parts:
            writer.write_table(shaped(part).cast(first.schema))


def _lists_as_json(table: pa.Table) -> pa.Table:
    for position, column in enumerate(table.schema):
        if pa.types.is_list(column.type):
            values = table.column(column.name).to_pylist()
            texts = pa.array([None if v is None else json.dumps(v) for v in values], pa.string())
            table = table.set_column(position, column.name, texts)
    return table
