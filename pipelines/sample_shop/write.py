"""Files of the drop: JSON Lines, CSV and Parquet, with the same bytes for the same rows."""

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from .catalogue import Catalogue
from .events import EVENT_TYPES, KIND, Events
from .people import CHANNELS, People
from .tables import Row

Line = Row | bytes  # bytes: a line that is written as it is, because it is spoilt

EVENT_SCHEMA = pa.schema([
    ("event_id", pa.string()),
    ("user_id", pa.string()),
    ("device_id", pa.string()),
    ("event_type", pa.string()),
    ("event_timestamp", pa.timestamp("us", tz="UTC")),
    ("product_id", pa.string()),
    ("query", pa.string()),
    ("quantity", pa.int32()),
    ("price", pa.decimal128(12, 2)),
    ("currency", pa.string()),
    ("channel", pa.string()),
    ("session_id", pa.string()),
    ("dwell_seconds", pa.float64()),
    ("campaign_id", pa.string()),
    ("attributes", pa.map_(pa.string(), pa.string())),
])  # fmt: skip


def json_line(row: Row) -> bytes:
    return json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def csv_line(values: Sequence[object], encoding: str = "utf-8") -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(values)
    return text.getvalue().encode(encoding)


def append_json_lines(path: Path, lines: Sequence[Line]) -> None:
    with path.open("ab") as file:
        file.writelines(line if isinstance(line, bytes) else json_line(line) for line in lines)


def append_csv(path: Path, header: Sequence[str], lines: Sequence[Line]) -> None:
    """Append rows, after the header where the file is new."""
    new = not path.exists()
    with path.open("ab") as file:
        if new:
            file.write(csv_line(header))
        file.writelines(line if isinstance(line, bytes) else csv_line(list(line.values())) for line in lines)


def write_parquet(path: Path, table: pa.Table) -> None:
    path.parent.mkdir(exist_ok=True)
    pq.write_table(table, path, compression="zstd", compression_level=3, row_group_size=200_000)


def _numbered(prefix: str, numbers: np.ndarray, width: int) -> pa.Array:
    """Ids such as "u0000012" of numbers; null where the number is negative."""
    digits = pc.utf8_lpad(pa.array(np.maximum(numbers, 0)).cast(pa.string()), width, "0")
    ids = pc.binary_join_element_wise(prefix, digits, "")
    return pc.if_else(pa.array(numbers >= 0), ids, pa.scalar(None, pa.string()))


def _named(names: Sequence[str], codes: np.ndarray) -> pa.Array:
    return pa.array(names, pa.string()).take(pa.array(codes, mask=codes < 0))


def _money(cents: np.ndarray) -> pa.Array:
    """Cents as decimal(12, 2); null where 0. The integers are the decimals' own representation."""
    words = np.zeros((len(cents), 2), dtype="<i8")
    words[:, 0] = cents
    amounts = pa.Array.from_buffers(pa.decimal128(12, 2), len(cents), [None, pa.py_buffer(words.tobytes())])
    return pc.if_else(pa.array(cents > 0), amounts, pa.scalar(None, pa.decimal128(12, 2)))


def _attributes(events: Events) -> pa.Array:
    """Maps of text: place in a list; line total; discount. Null where there is none of them."""
    total = np.where(events.kind == KIND["purchase"], events.quantity * events.cents - events.discount, 0)
    places, keys, values = [], [], []
    for key, number, money in (("position", events.position, False), ("line_total", total, True),
                               ("discount", events.discount, True)):  # fmt: skip
        where = np.flatnonzero(number > 0)
        shown = _money(number[where]) if money else pa.array(number[where])
        places.append(where)
        keys.append(pa.repeat(key, len(where)))
        values.append(shown.cast(pa.string()))
    place = np.concatenate(places)
    order = pa.array(np.argsort(place, kind="stable"))
    counts = np.bincount(place, minlength=len(events))
    offsets = np.concatenate([[0], np.cumsum(counts)])
    entries = [pa.chunked_array(parts, pa.string()).combine_chunks().take(order) for parts in (keys, values)]
    nulls = pa.array(np.append(counts == 0, False))
    marked = pc.if_else(nulls, pa.scalar(None, pa.int32()), pa.array(offsets.astype(np.int32)))
    return pa.MapArray.from_arrays(marked, *entries)


def event_table(events: Events, people: People, catalogue: Catalogue, texts: Sequence[str], part: int) -> pa.Table:
    """Events in the contract's columns. Ids are unique across parts."""
    known = events.known(people)
    product_ids = [product.product_id for product in catalogue.products]
    has_price = events.cents > 0
    columns = [
        _numbered(f"e{part:04d}", np.arange(len(events)), 8),
        _numbered("u", np.where(known, events.person + 1, -1), 7),
        _numbered("d", np.where(events.device >= 0, events.device + 1, -1), 7),
        _named(EVENT_TYPES, events.kind),
        pa.array(events.at).cast(pa.timestamp("us", tz="UTC")),
        _named(product_ids, events.product),
        _named(texts, events.query),
        pa.array(events.quantity.astype(np.int32), mask=events.quantity == 0),
        _money(events.cents),
        _named(["CNY"], np.where(has_price, 0, -1)),
        _named(CHANNELS, events.channel),
        _numbered(f"s{part:04d}", events.session, 7),
        pa.array(events.dwell, from_pandas=True),
        _numbered("c", events.campaign, 3),
        _attributes(events),
    ]
    return pa.Table.from_arrays(columns, schema=EVENT_SCHEMA)
