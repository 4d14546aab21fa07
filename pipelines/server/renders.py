"""An answer as bytes: Feast's JSON, and compact forms of the same."""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, TypeVar

import msgpack
import numpy as np
import orjson
import pyarrow as pa
from pydantic_core import to_json

from pipelines.client.features import ViewFeatures
from pipelines.online.blocks import IS_PRESENT, STATUS_NAMES, Block
from pipelines.online.reader import Answer
from pipelines.server.questions import Question
from pipelines.server.replies import JSON, RequestError

COMPACT = "application/vnd.mmfs.compact+json"
MSGPACK = "application/msgpack"
ARROW = "application/vnd.apache.arrow.stream"
_NOTHING = "1970-01-01T00:00:00Z"
Render = Callable[[Answer, Question], bytes]
R = TypeVar("R")


def chosen(accept: str, renders: Mapping[str, R]) -> tuple[str, R]:
    """Media type and rendering of the first type in an Accept header that is known; JSON where any will do.

    Raises RequestError 406.
    """
    for part in accept.split(","):
        media_type = part.partition(";")[0].strip().lower()
        if media_type in ("", "*/*", "application/*"):
            media_type = JSON
        if media_type in renders:
            return media_type, renders[media_type]
    raise RequestError(406, "not_acceptable", f"answers are {', '.join(renders)}")


def feast_json(answer: Answer, question: Question) -> bytes:
    """As Feast's server answers, with the release in the metadata; statuses add NO_CONSENT.

    Instants are whole seconds since 1970 UTC, event_timestamps RFC 3339, floats of vectors in the fewest digits that
    give the same float32.
    """
    missing = [answer.plan.release, answer.plan.service].count(None)
    for block in answer.blocks:
        missing += 0 if block.complete else int(np.count_nonzero(block.statuses != IS_PRESENT))
    body = orjson.dumps(_feast_document(answer, question), default=_base64, option=orjson.OPT_SERIALIZE_NUMPY)
    # For NaN and infinities it writes null, too. Looking at the bytes is cheaper than at every float.
    if body.count(b"null") > missing:
        document = _feast_document(answer, question)
        for result in document["results"]:
            result["values"] = [*map(_spelled, result["values"])]
        body = orjson.dumps(document, default=_base64)
    return body


def _feast_document(answer: Answer, question: Question) -> dict[str, Any]:
    count = len(answer.ids)
    names = [question.id_name, *answer.plan.answer_names(question.full_feature_names)]
    all_present = ["PRESENT"] * count
    known = {"statuses": all_present, "event_timestamps": [_NOTHING] * count}
    results: list[dict[str, Any]] = [{"values": answer.ids, **known}]
    for block in answer.blocks:
        times = [_rfc3339(micros) for micros in block.times.tolist()]
        columns = block.statuses.T.tolist() if not block.complete else [None] * len(block.plan.features)
        for name, values, statuses in zip(block.plan.features, block.all_values(arrays=True), columns, strict=True):
            if name in block.plan.instants:
                values = [None if v is None else v // 1_000_000 for v in values]
            told = all_present if statuses is None else [STATUS_NAMES[status] for status in statuses]
            results.append({"values": values, "statuses": told, "event_timestamps": times})
    metadata = {"feature_names": names, "release": answer.plan.release, "service": answer.plan.service}
    return {"metadata": metadata, "results": results}


def _spelled(value: Any) -> Any:
    """NaN and infinities, which JSON has no numbers for, as Feast spells them."""
    if isinstance(value, np.ndarray):
        return [*map(_spelled, value.tolist())]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def _base64(value: Any) -> str:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    raise TypeError(f"no JSON for {type(value)}")


@lru_cache(maxsize=4096)
def _rfc3339(micros: int) -> str:
    if not micros:
        return _NOTHING
    seconds, rest = divmod(micros, 1_000_000)
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    if not rest:
        return text + "Z"
    return f"{text}.{rest // 1000:03}Z" if rest % 1000 == 0 else f"{text}.{rest:06}Z"


def compact_json(answer: Answer, question: Question) -> bytes:
    """`_document` as JSON, arrays as base64 of their bytes."""
    document = _document(answer, question, "base64", lambda data: base64.b64encode(data).decode())
    return to_json(document, inf_nan_mode="strings", bytes_mode="base64")


def message_pack(answer: Answer, question: Question) -> bytes:
    """`_document` as MessagePack, arrays as their bytes."""
    packed: bytes = msgpack.packb(_document(answer, question, "data", bytes))
    return packed


def _document(answer: Answer, question: Question, key: str, encoded: Callable[[bytes], Any]) -> dict[str, Any]:
    """The release, the ids, and per view (`n` ids, `F` features):

    features: their names; statuses: uint8 (n, F), numbered as in status_names; event_timestamps: int64 (n,),
    microseconds since 1970 UTC, 0 for none; integers, floats: names, and their values as one array of int64 or float64
    (n, names), bools as 0 and 1, instants as microseconds; vectors: an array (n, d) by name; others: lists by name.
    An array's value means nothing where the status is not PRESENT.
    """

    def array(values: np.ndarray[Any, Any]) -> dict[str, Any]:
        return packed_array(values, key, encoded)

    views = []
    for block in answer.blocks:
        found = ViewFeatures.of_block(block)
        (integers, whole), (floats, real) = found.integers, found.floats
        views.append(
            {
                "view": found.view,
                "features": list(found.features),
                "statuses": array(found.statuses),
                "event_timestamps": array(found.event_timestamps),
                "integers": {"names": integers, "values": array(whole)},
                "floats": {"names": floats, "values": array(real)},
                "vectors": {name: array(vectors) for name, vectors in found.vectors.items()},
                "others": found.others,
            }
        )
    return {
        "release": answer.plan.release,
        "service": answer.plan.service,
        "entity": question.id_name,
        "ids": list(answer.ids),
        "status_names": list(STATUS_NAMES),
        "views": views,
    }


def packed_array(values: np.ndarray[Any, Any], key: str, encoded: Callable[[bytes], Any]) -> dict[str, Any]:
    """An array's type, shape and little-endian bytes."""
    return {"dtype": values.dtype.str, "shape": list(values.shape), key: encoded(values.tobytes())}


def arrow(answer: Answer, question: Question) -> bytes:
    """An IPC stream of one batch: the ids, then per view its features, `<view>__statuses` (uint8 per feature) and
    `<view>__event_timestamp`. The schema's metadata names release and service.
    """
    columns: list[pa.Array] = [pa.array(answer.ids, pa.string())]
    fields = [pa.field(question.id_name, pa.string())]
    names = iter(answer.plan.answer_names(question.full_feature_names))
    for block in answer.blocks:
        for column in _arrow_columns(block):
            columns.append(column)
            fields.append(pa.field(next(names), column.type))
        flat = pa.array(np.ascontiguousarray(block.statuses).reshape(-1))
        columns.append(pa.FixedSizeListArray.from_arrays(flat, block.statuses.shape[1]))
        times = pa.array(np.ascontiguousarray(block.times), pa.int64(), mask=block.times == 0)
        columns.append(times.cast(pa.timestamp("us", tz="UTC")))
        for name, column in zip(("statuses", "event_timestamp"), columns[-2:], strict=True):
            fields.append(pa.field(f"{block.plan.label}__{name}", column.type))
    about = {"release": answer.plan.release or "", "service": answer.plan.service or ""}
    schema = pa.schema(fields, about)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as writer:
        writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))
    return bytes(sink.getvalue())


def _arrow_columns(block: Block) -> Iterator[pa.Array]:
    for name in block.plan.features:
        kind, column = block.kind(name), block.column(name)
        missing = None if block.complete else ~block.present(name)
        if isinstance(column, list):
            yield pa.array(column, _ARROW_TYPES.get(kind))
        elif column.ndim == 2 and not column.shape[1]:
            # Nobody has one, so its length is not known.
            yield pa.nulls(len(column), _ARROW_TYPES[kind])
        elif column.ndim == 2:
            flat = pa.array(np.ascontiguousarray(column).reshape(-1))
            yield pa.FixedSizeListArray.from_arrays(
                flat, column.shape[1], mask=None if missing is None else pa.array(missing)
            )
        else:
            array = pa.array(np.ascontiguousarray(column), mask=missing)
            yield array.cast(pa.timestamp("us", tz="UTC")) if kind == "instant" else array


_ARROW_TYPES = {
    "floats": pa.list_(pa.float32()),
    "doubles": pa.list_(pa.float64()),
    "text": pa.string(),
    "bytes": pa.binary(),
    "texts": pa.list_(pa.string()),
    "proto": pa.binary(),
}
RENDERS: dict[str, Render] = {JSON: feast_json, COMPACT: compact_json, MSGPACK: message_pack, ARROW: arrow}
