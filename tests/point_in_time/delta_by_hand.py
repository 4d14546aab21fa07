"""Small Delta tables in milliseconds: Parquet files and a log as the protocol describes them, without Spark."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

_NAMES = {
    pa.string(): "string",
    pa.int64(): "long",
    pa.int32(): "integer",
    pa.float64(): "double",
    pa.bool_(): "boolean",
    pa.date32(): "date",
}


def delta_type(kind: pa.DataType) -> Any:
    """A type as Delta's schema JSON has it."""
    if pa.types.is_timestamp(kind):
        return "timestamp" if kind.tz else "timestamp_ntz"
    if pa.types.is_list(kind):
        return {"type": "array", "elementType": delta_type(kind.value_type), "containsNull": True}
    if pa.types.is_map(kind):
        types = {"keyType": delta_type(kind.key_type), "valueType": delta_type(kind.item_type)}
        return {"type": "map", **types, "valueContainsNull": True}
    if pa.types.is_struct(kind):
        fields = [{"name": f.name, "type": delta_type(f.type), "nullable": True, "metadata": {}} for f in kind]
        return {"type": "struct", "fields": fields}
    if pa.types.is_decimal(kind):
        return f"decimal({kind.precision},{kind.scale})"
    return _NAMES.get(kind, "float" if pa.types.is_float32(kind) else "binary")


def commit(path: Path, *files: pa.Table, replace: bool = False, partition: Mapping[str, str] | None = None) -> int:
    """Add a file per table (or replace all there are) in one commit; the version. `partition` is that of the files."""
    log = path / "_delta_log"
    log.mkdir(parents=True, exist_ok=True)
    version = len(list(log.glob("*.json")))
    actions: list[dict[str, Any]] = [] if version else _beginning(files[0].schema, partition or {})
    if replace:
        actions += [{"remove": {"path": p.name, "dataChange": True}} for p in path.glob("*.parquet")]
    for number, table in enumerate(files):
        name = f"part-{version:05d}-{number:05d}.parquet"
        pq.write_table(table, path / name)
        add = {"path": name, "size": (path / name).stat().st_size, "dataChange": True, "modificationTime": 0}
        actions.append({"add": add | {"partitionValues": partition or {}, "stats": json.dumps(_statistics(table))}})
    (log / f"{version:020d}.json").write_text("\n".join(map(json.dumps, actions)))
    return version


def _beginning(schema: pa.Schema, partition: Mapping[str, str]) -> list[dict[str, Any]]:
    types = [(f.name, delta_type(f.type)) for f in schema] + [(name, "string") for name in partition]
    fields = [{"name": name, "type": kind, "nullable": True, "metadata": {}} for name, kind in types]
    metadata = {
        "id": "by hand",
        "format": {"provider": "parquet", "options": {}},
        "schemaString": json.dumps({"type": "struct", "fields": fields}),
        "partitionColumns": list(partition),
        "configuration": {},
    }
    return [{"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}}, {"metaData": metadata}]


def _statistics(table: pa.Table) -> dict[str, Any]:
    found: dict[str, Any] = {"numRecords": len(table), "minValues": {}, "maxValues": {}}
    for field in table.schema:
        if pa.types.is_string(field.type) or pa.types.is_timestamp(field.type) or pa.types.is_integer(field.type):
            extremes = pc.min_max(table.column(field.name))
            for name, extreme in (("minValues", "min"), ("maxValues", "max")):
                value = extremes[extreme].as_py()
                if value is not None:
                    # Timestamps are cut to milliseconds, as Spark does it.
                    found[name][field.name] = (
                        value if isinstance(value, str | int) else value.isoformat(timespec="milliseconds")
                    )
    return found


def history(rows: Sequence[tuple[Any, ...]], **types: pa.DataType) -> pa.Table:
    """Rows as a table of the given columns."""
    columns = zip(*rows, strict=True) if rows else ([] for _ in types)
    return pa.table([pa.array(c, t) for c, t in zip(columns, types.values(), strict=True)], names=list(types))
