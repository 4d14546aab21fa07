"""What runs in a Python worker: content rows in, rows with a vector or a reason out, in one pass.

Bytes, pixels and vectors stay in this process; between Spark and the worker go paths, texts and vectors. Nothing
here needs a Spark session.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image

from encoders.decoder import decode_picture, select_frames
from encoders.errors import ContentError, EncoderError
from encoders.load import Encoder
from encoders.spec import EncoderSpec
from pipelines.encoding.held_encoder import encoder_in_use
from pipelines.sources.media_bytes import MediaError, read_media

RESULT = (
    "content_hash string, modality string, status string, reason string, vector binary, dimensions int, "
    "details map<string,string>"
)
ARROW_RESULT = pa.schema(
    [
        ("content_hash", pa.string()),
        ("modality", pa.string()),
        ("status", pa.string()),
        ("reason", pa.string()),
        ("vector", pa.binary()),
        ("dimensions", pa.int32()),
        ("details", pa.map_(pa.string(), pa.string())),
    ]
)
IMAGES_AT_ONCE = 64
TEXTS_AT_ONCE = 128
DECODERS = 2
DECODED_AHEAD = 16
# An encoder that refuses this many contents in a row, each alone, is broken itself.
_BROKEN_AFTER = 8
_TEXT_ROLE = {"query": "query"}


def encoding_function(
    spec: EncoderSpec, threads: int, cache_dir: Path
) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """The function for `mapInArrow` over (content_hash, modality, paths, text, attempts), giving `RESULT`.

    `threads` of torch per task; `cache_dir` is where bundled encoders lie on the worker.
    """

    def encode_batches(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        rows = chain.from_iterable(batch.to_pylist() for batch in batches)
        with encoder_in_use(spec, threads, cache_dir) as encoder:
            for items in encode_rows(rows, encoder):
                yield pa.RecordBatch.from_pylist([item.result() for item in items], schema=ARROW_RESULT)

    return encode_batches


@dataclass
class Item:
    """One content on its way: pictures or a text, then a vector or a reason."""

    row: dict[str, Any]
    pictures: list[Image.Image] = field(default_factory=list)
    vector: np.ndarray | None = None
    reason: str | None = None
    details: dict[str, str] = field(default_factory=dict)

    def fail(self, reason: str, detail: str = "") -> None:
        self.reason = reason
        self.details["attempts"] = str((self.row.get("attempts") or 0) + 1)
        if detail:
            self.details["detail"] = detail[:200]

    def result(self) -> dict[str, Any]:
        vector = None if self.vector is None else self.vector.astype("<f4").tobytes()
        return {
            "content_hash": self.row["content_hash"],
            "modality": self.row["modality"],
            "status": "failed" if vector is None else "ok",
            "reason": self.reason,
            "vector": vector,
            "dimensions": None if self.vector is None else len(self.vector),
            "details": list(self.details.items()),
        }


def encode_rows(rows: Iterator[dict[str, Any]], encoder: Callable[[], Encoder]) -> Iterator[list[Item]]:
    """Finished items in lists; decoding of later pictures goes on beside the model.

    `encoder` is asked for only when there is a picture to decode or a text to encode.
    """
    texts: list[Item] = []
    pictures: list[Item] = []
    for item in decoded_items(rows, lambda: encoder().picture_side):
        if item.reason:
            yield [item]
            continue
        waiting = pictures if item.pictures else texts
        waiting.append(item)
        if sum(len(i.pictures) for i in pictures) >= IMAGES_AT_ONCE or len(texts) >= TEXTS_AT_ONCE:
            yield _finish(waiting, encoder())
            waiting.clear()
    for waiting in (pictures, texts):
        if waiting:
            yield _finish(waiting, encoder())


def decoded_items(rows: Iterator[dict[str, Any]], picture_side: Callable[[], int]) -> Iterator[Item]:
    """Items with their pictures, or the reason why there are none, in the order of the rows; at most `DECODED_AHEAD`
    are in the making.

    `picture_side`, asked for when there is a picture, is that of the model's input: waiting pictures at full size
    would fill a worker, so they are as large as it has use for.
    """
    ahead: deque[Future[Item]] = deque()
    with ThreadPoolExecutor(DECODERS, thread_name_prefix="decode") as pool:
        for row in rows:
            side = picture_side() or None if row["modality"] == "image" else None
            ahead.append(pool.submit(_decode, row, side))
            if len(ahead) >= DECODED_AHEAD:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()


def _decode(row: dict[str, Any], side: int | None) -> Item:
    item = Item(row)
    try:
        if row["modality"] == "image":
            item.pictures = [decode_picture(_read(row), side)]
        elif row["modality"] == "video":
            frames = select_frames(_read(row))
            item.pictures = [frame.image for frame in frames]
            item.details["frame_seconds"] = ";".join(f"{frame.seconds:.3f}" for frame in frames)
            item.details["frame_scores"] = ";".join(f"{frame.score:.3f}" for frame in frames)
        elif not (row["text"] or "").strip():
            item.fail("no_text")
    except ContentError as error:
        item.fail(error.reason, error.detail)
    except MediaError as error:
        item.fail(error.reason)
    return item


def _read(row: dict[str, Any]) -> bytes:
    """The bytes from the first place that still has them: what was hashed is what is encoded."""
    reason = "missing"
    for path in row["paths"] or []:
        try:
            data = read_media(path)
        except MediaError as error:
            reason = error.reason
            continue
        if hashlib.sha256(data).hexdigest() == row["content_hash"]:
            return data
        reason = "changed"
    raise MediaError(reason)


def _finish(items: list[Item], encoder: Encoder) -> list[Item]:
    """Vectors of items of one kind. What the model cannot take together it is given one by one."""
    try:
        _encode(items, encoder)
    except EncoderError:
        raise
    except (RuntimeError, ValueError, ZeroDivisionError, IndexError):
        _finish_singly(items, encoder)
    for item in items:
        item.pictures = []
    return list(items)


def _finish_singly(items: list[Item], encoder: Encoder) -> None:
    failed = 0
    for item in items:
        try:
            _encode([item], encoder)
        except EncoderError:
            raise
        except (RuntimeError, ValueError, ZeroDivisionError, IndexError) as error:
            item.fail("encoder_failed", f"{type(error).__name__}: {error}")
            failed += 1
            if failed >= _BROKEN_AFTER and failed == len(items):
                raise


def _encode(items: list[Item], encoder: Encoder) -> None:
    if items[0].pictures:
        vectors = encoder.encode_images([picture for item in items for picture in item.pictures])
        # A video's vector is the direction of the mean of its frames' unit vectors.
        starts = np.cumsum([0, *(len(item.pictures) for item in items[:-1])])
        vectors = unit_rows(np.add.reduceat(vectors, starts, axis=0))
        _take(items, vectors)
        return
    for role in ("passage", "query"):
        chosen = [item for item in items if _TEXT_ROLE.get(item.row["modality"], "passage") == role]
        if chosen:
            _take(chosen, unit_rows(encoder.encode_texts([item.row["text"] for item in chosen], role=role)))


def _take(items: list[Item], vectors: np.ndarray) -> None:
    for item, vector in zip(items, vectors, strict=True):
        if np.isfinite(vector).all():
            item.vector = vector
        else:
            item.fail("not_finite")


def unit_rows(vectors: np.ndarray) -> np.ndarray:
    """Rows scaled to length 1, float32; a row that points nowhere becomes NaN."""
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    return (vectors / np.where(lengths > 1e-6, lengths, np.nan)).astype(np.float32)
