"""Rows of a DataFrame on the driver as Arrow batches, one at a time: memory stays that of a partition."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
from pyspark.sql import DataFrame


def arrow_batches(rows: DataFrame) -> Iterator[pa.RecordBatch]:
    """The batches in the DataFrame's order.

    `toArrow` would hold everything at once, `toLocalIterator` alone would make a Python object of every float.
    So each batch travels as one row of bytes.
    """

    # Nested, so that workers get it by value and need not be able to import this package.
    def serialised(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            sink = pa.BufferOutputStream()
            with pa.ipc.new_stream(sink, batch.schema) as writer:
                writer.write_batch(batch)
            yield pa.RecordBatch.from_arrays([pa.array([sink.getvalue().to_pybytes()])], ["ipc"])

    for row in rows.mapInArrow(serialised, "ipc binary").toLocalIterator():
        with pa.ipc.open_stream(bytes(row.ipc)) as reader:
            yield from reader
