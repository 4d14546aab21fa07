"""The answer to a ranking question as bytes: JSON with numbers as text, JSON with base64, MessagePack."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from typing import Any

import msgpack
import numpy as np
from pydantic_core import to_json

from pipelines.online.blocks import STATUS_NAMES, Block
from pipelines.online.ranking import RankingAnswer
from pipelines.ranking.similarities import HISTOGRAM, NAMES, TIER_EDGES, VERSION
from pipelines.server.questions import RankingQuestion
from pipelines.server.renders import COMPACT, MSGPACK, packed_array
from pipelines.server.replies import JSON

Array = Callable[[np.ndarray[Any, Any]], Any]


def plain_json(answer: RankingAnswer, question: RankingQuestion) -> bytes:
    """`_document` with arrays as lists of rows, null where a number is not known."""
    return to_json(_document(answer, question, lambda values: values.tolist()), inf_nan_mode="null")


def compact_json(answer: RankingAnswer, question: RankingQuestion) -> bytes:
    """`_document` with arrays as base64 of their bytes."""

    def array(values: np.ndarray[Any, Any]) -> Any:
        return packed_array(values, "base64", lambda raw: base64.b64encode(raw).decode())

    return to_json(_document(answer, question, array))


def message_pack(answer: RankingAnswer, question: RankingQuestion) -> bytes:
    """`_document` with arrays as their bytes."""
    document = _document(answer, question, lambda values: packed_array(values, "data", bytes))
    packed: bytes = msgpack.packb(document)
    return packed


def _document(answer: RankingAnswer, question: RankingQuestion, array: Array) -> dict[str, Any]:
    """The release, the ids, and of views with F numbers (`user`: n = 1; `products`: n candidates):

    features: their names; values: float64 (n, F), NaN unless the status is PRESENT, bools as 0 and 1, instants as
    microseconds since 1970 UTC; statuses: uint8 (n, F), numbered as in status_names; event_timestamps: int64 (n,),
    microseconds, 0 for none. Of `similarities`: names and values float64 (n, names), NaN where not known, and the last
    products' histogram float32 (n, tiers) with the tiers' edges.
    """
    found = answer.similarities
    return {
        "release": answer.user.plan.release,
        "service": answer.user.plan.service,
        "asked_at": answer.asked_at.isoformat(),
        question.id_name: question.user,
        "product_ids": list(answer.products.ids),
        "status_names": list(STATUS_NAMES),
        "user": _views(answer.user.blocks, array),
        "products": _views(answer.products.blocks, array),
        "similarities": {
            "version": VERSION,
            "names": NAMES,
            "values": array(found.values),
            HISTOGRAM: array(found.histogram),
            "tier_edges": TIER_EDGES.tolist(),
        },
    }


def _views(blocks: Sequence[Block], array: Array) -> list[dict[str, Any]]:
    views = []
    for block in blocks:
        names = block.plan.numbers
        places = [block.plan.places[name] for name in names]
        if places:
            views.append(
                {
                    "view": block.plan.label,
                    "features": names,
                    "values": array(block.numbers()),
                    "statuses": array(block.statuses[:, places]),
                    "event_timestamps": array(block.times),
                }
            )
    return views


RANKING_RENDERS = {JSON: plain_json, COMPACT: compact_json, MSGPACK: message_pack}
