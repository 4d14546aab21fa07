"""Vectors taken from pages are those that Arrow reads, however a file was written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.point_in_time.vector_pages import NotPlainError, VectorPages

ROWS = 3_000


def vectors(kind: str) -> pa.Array:
    random = np.random.default_rng(11)
    lists: list[Any] = [random.random(16, dtype=np.float32) for _ in range(ROWS)]
    if kind == "ragged":
        lists = [random.random(int(n), dtype=np.float32) for n in random.integers(0, 9, ROWS)]
    if kind in {"nulls", "ragged"}:
        lists = [None if chance < 0.1 else values for chance, values in zip(random.random(ROWS), lists, strict=True)]
    if kind == "all null":
        lists = [None] * ROWS
    return pa.array(lists, pa.list_(pa.float64() if kind == "doubles" else pa.float32()))


@pytest.mark.parametrize("kind", ["plain", "nulls", "ragged", "all null", "doubles", "not nullable"])
@pytest.mark.parametrize("page", ["1.0", "2.0"])
@pytest.mark.parametrize("compression", ["snappy", "none", "zstd"])
@pytest.mark.parametrize("indexed", [True, False])
def test_what_arrow_reads(tmp_path: Path, kind: str, page: str, compression: str, indexed: bool) -> None:
    array = vectors(kind)
    inner = pa.field("element", array.type.value_type, nullable=kind != "not nullable")
    schema = pa.schema([("n", pa.int64()), pa.field("vector", pa.list_(inner), nullable=kind != "not nullable")])
    table = pa.table([pa.array(range(ROWS)), array.cast(schema.field("vector").type)], schema=schema)
    path = tmp_path / "vectors.parquet"
    options: dict[str, Any] = {"data_page_size": 4096, "row_group_size": 1_700, "use_dictionary": False}
    pq.write_table(table, path, data_page_version=page, compression=compression, write_page_index=indexed, **options)
    parquet = pq.ParquetFile(path)
    with pa.memory_map(str(path)) as source:
        pages = VectorPages(parquet, source)
        for group in range(2):
            whole = parquet.read_row_group(group, columns=["vector"]).column("vector").combine_chunks()
            for rows in (np.arange(len(whole)), np.arange(3, len(whole), 97), np.array([], np.int64)):
                assert pages.take(group, "vector", rows).to_pylist() == whole.take(pa.array(rows)).to_pylist()


def test_what_only_arrow_reads_is_left_to_it(tmp_path: Path) -> None:
    path = tmp_path / "vectors.parquet"
    inside = pa.array([[1.0, None], [2.0]], pa.list_(pa.float32()))
    repeated = pa.array([[1.0], [1.0]], pa.list_(pa.float32()))
    nested = pa.array([[[1.0]], None], pa.list_(pa.list_(pa.float32())))
    table = pa.table({"inside": inside, "repeated": repeated, "nested": nested})
    pq.write_table(table, path, use_dictionary=["repeated.list.element"])
    with pa.memory_map(str(path)) as source:
        pages = VectorPages(pq.ParquetFile(path), source)
        for name in table.column_names:
            with pytest.raises(NotPlainError):
                pages.take(0, name, np.array([0]))


def test_pages_that_nobody_wants_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "vectors.parquet"
    table = pa.table({"vector": vectors("plain")})
    pq.write_table(table, path, data_page_size=4096, use_dictionary=False, write_page_index=True)
    with pa.memory_map(str(path)) as source:
        pages = VectorPages(pq.ParquetFile(path), source)
        few = pages.take(0, "vector", np.array([5, 6]))
        assert few.to_pylist() == table["vector"].slice(5, 2).to_pylist()
        least = pages.bytes_read
        pages.take(0, "vector", np.arange(ROWS))
        assert least * 10 < pages.bytes_read - least
