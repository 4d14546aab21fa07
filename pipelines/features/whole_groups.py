"""Arrow batches cut groups at their edges: here they are put together again."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

ROWS = 32_768


def whole_groups(batches: Iterator[pa.RecordBatch], key: str = "user_id", rows: int = ROWS) -> Iterator[pa.Table]:
    """Tables of about `rows` rows that hold every row of their keys. The batches must be sorted by `key`."""
    held: list[pa.RecordBatch] = []
    count, enough = 0, rows
    for batch in batches:
        held.append(batch)
        count += batch.num_rows
        if count < enough:
            continue
        table = pa.Table.from_batches(held)
        cut = pc.index(table[key], table[key][-1]).as_py()
        if cut:
            yield table.slice(0, cut)
        rest = table.slice(cut)
        held, count = rest.to_batches(), rest.num_rows
        # A key with more rows than a table is searched for its end seldom, not at every batch.
        enough = max(rows, 2 * count)
    if count:
        yield pa.Table.from_batches(held)
