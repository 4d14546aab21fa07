"""The entity frame: whose features are wanted, as of which moment, with labels and whatever else the file holds."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from pipelines.errors import EntityFrameError
from pipelines.identity.subject_keys import USER, subject_key
from pipelines.point_in_time.instants import instants_of_text, utc_micros
from pipelines.settings import Settings

TIMESTAMP = "event_timestamp"
_PRODUCT = "product_id"
# Ids as text: a CSV's "007" is not 7.
_AS_TEXT = {name: pa.string() for name in ("user_id", _PRODUCT, TIMESTAMP)}


@dataclass(frozen=True)
class EntityFrame:
    """Rows as given, `event_timestamp` as UTC microseconds; beside them each row's join key.

    `keys` is dictionary-encoded text of the same length and order as `rows`; `products` are the products' ids, text,
    where rows are of both.
    """

    rows: pa.Table
    keys: pa.Array
    join_key: str
    checksum: str
    products: pa.Array | None = None


def require_entities(path: Path) -> None:
    """Raises EntityFrameError where the file is missing or of another format; reads nothing yet."""
    if not path.is_file():
        raise EntityFrameError(f"no entity file at {path}; give a Parquet or CSV file with user_id and {TIMESTAMP}")
    require_format(path, "entity file")


def require_output(path: Path, entities: Path) -> None:
    """Raises EntityFrameError for a name of another format, a folder, and the entity file itself."""
    require_format(path, "output")
    if path.is_dir():
        raise EntityFrameError(f"output {path} is a folder; name a file")
    if path.resolve() == entities.resolve():
        raise EntityFrameError(f"output {path} is the entity file itself, which a replay needs again; name another")


def require_format(path: Path, what: str) -> None:
    """Raises EntityFrameError unless the name ends in .parquet or .csv."""
    if path.suffix.lower() not in {".parquet", ".csv"}:
        raise EntityFrameError(f"{what} {path}: expected a name ending in .parquet or .csv, found '{path.suffix}'")


def read_entities(
    path: Path, join_key: str, settings: Settings, *, keyed: bool = False, with_products: bool = False
) -> EntityFrame:
    """Read and check an entity file; user ids pass through the identity seam for the join, unless `keyed` already.

    `with_products`: every row has a `product_id` as well. Timestamps without offset are taken as UTC. Raises
    EntityFrameError saying which column or row is at fault.
    """
    require_entities(path)
    table = _read(path)
    if len(set(table.column_names)) < table.num_columns:
        raise EntityFrameError(f"entity file {path} has a column twice: {', '.join(table.column_names)}")
    for column in (join_key, TIMESTAMP, *([_PRODUCT] if with_products else [])):
        if column not in table.column_names:
            raise EntityFrameError(
                f"entity file {path} has no column '{column}'; found: {', '.join(table.column_names) or 'none'}. "
                f"Add it: every row needs an id and the moment its features are wanted for"
            )
    if not table.num_rows:
        raise EntityFrameError(f"entity file {path} has no rows; give at least one {join_key} and {TIMESTAMP}")
    instants = _instants(table.column(TIMESTAMP), path)
    rows = table.set_column(table.schema.get_field_index(TIMESTAMP), TIMESTAMP, instants)
    ids = _ids(table.column(join_key), path, join_key).dictionary_encode()
    if join_key == "user_id" and not keyed:
        keys = [subject_key(USER, value, settings) for value in ids.dictionary.to_pylist()]
        ids = pa.DictionaryArray.from_arrays(ids.indices, pa.array(keys, pa.string()))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    products = _ids(table.column(_PRODUCT), path, _PRODUCT) if with_products else None
    return EntityFrame(rows, ids, join_key, f"sha256:{digest}", products)


def _read(path: Path) -> pa.Table:
    try:
        if path.suffix.lower() == ".parquet":
            return pq.read_table(path, partitioning=None)
        return pa_csv.read_csv(path, convert_options=pa_csv.ConvertOptions(column_types=_AS_TEXT))
    except pa.ArrowInvalid as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise EntityFrameError(f"entity file {path} cannot be read: {reason}. Write it anew") from error


def _ids(column: pa.ChunkedArray, path: Path, name: str) -> pa.Array:
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    kind = column.type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_integer(kind)):
        raise EntityFrameError(f"entity file {path}: '{name}' must be text or whole numbers, found {kind}")
    texts = column.cast(pa.string()).combine_chunks()
    _require_all(pc.not_equal(pc.fill_null(texts, ""), ""), path, f"'{name}' is empty", texts)
    return texts


def _instants(column: pa.ChunkedArray, path: Path) -> pa.Array:
    """Aware UTC microseconds; finer fractions are cut off, which can hide a feature but never leak one."""
    kind = column.type
    given = column.combine_chunks()
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        instants = utc_micros(given)
    elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
        instants = instants_of_text(given, unreadable="coerce")
    else:
        raise EntityFrameError(
            f"entity file {path}: '{TIMESTAMP}' must be timestamps or ISO 8601 text, found {kind}; convert it"
        )
    _require_all(instants.is_valid(), path, f"'{TIMESTAMP}' is no ISO 8601 instant", given)
    return instants


def _require_all(good: pa.Array, path: Path, fault: str, values: pa.Array) -> None:
    bad = pc.indices_nonzero(pc.invert(good))
    if len(bad):
        row = bad[0].as_py()
        raise EntityFrameError(
            f"entity file {path}: in {len(bad)} rows {fault}, first in row {row + 1}: {values[row].as_py()!r}; "
            f"correct or leave out these rows"
        )
