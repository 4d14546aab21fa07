"""Answers as rows of the table `answers`: only of those who allow it, ids as subject keys. No Spark."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.identity.subject_keys import subject_key
from pipelines.online.blocks import Block
from pipelines.online.plans import ReadPlan
from pipelines.online.ranking import RankingAnswer
from pipelines.online.reader import Answer
from pipelines.ranking.similarities import HISTOGRAM, NAMES
from pipelines.settings import Settings
from pipelines.tables.arrow_types import arrow_schema
from pipelines.tables.governance import ANSWERS

SIMILARITY = "similarity"
USER_PLACE = -1
# What the server writes: `log_file` is added when the file has a name.
SCHEMA = arrow_schema(ANSWERS)
_TEXTS = frozenset({"text", "texts"})
_PERSON = "user_id"


@dataclass(frozen=True)
class Answered:
    """An answer, what was asked by (`kind` of the subject) and when."""

    asked_at: datetime
    kind: str
    answer: Answer | RankingAnswer

    @property
    def ids(self) -> int:
        """How many rows it may become."""
        if isinstance(self.answer, RankingAnswer):
            return 1 + len(self.answer.products.ids)
        return len(self.answer.ids)


def rows_of(answered: Answered, settings: Settings, default: frozenset[str]) -> pa.Table:
    """Rows of `SCHEMA`, none of subjects who do not allow every purpose concerned.

    `default` is what subjects of whom no consent is stored allow.
    """
    answer = answered.answer
    of_user = answer.user if isinstance(answer, RankingAnswer) else answer
    purposes = _purposes(of_user.plan)
    allowed = [
        i
        for i, stored in enumerate(of_user.consents)
        if of_user.ids[i] and purposes <= (default if stored is None else stored)
    ]
    if not allowed:
        return SCHEMA.empty_table()
    about = _About(answered, of_user.plan, purposes)
    if not isinstance(answer, RankingAnswer):
        personal = answer.plan.join_key == _PERSON
        keys = [subject_key(answered.kind, id_, settings) if id_ and personal else None for id_ in answer.ids]
        products = [None if personal else id_ for id_ in answer.ids]
        rows = about.rows(range(len(answer.ids)), keys, products, _of_blocks(answer.blocks))
        return rows.take(pa.array(allowed, pa.int64()))
    key = subject_key(answered.kind, of_user.ids[0], settings)
    numbered = [block for block in of_user.blocks if block.plan.numbers]
    user = about.rows([USER_PLACE], [key], [None], _of_blocks(numbered, wide=False))
    count = len(answer.products.ids)
    values = _of_blocks(answer.products.blocks, wide=False)
    found = answer.similarities
    values.numbers += [(f"{SIMILARITY}__{name}", found.values[:, i]) for i, name in enumerate(NAMES)]
    values.vectors.append((f"{SIMILARITY}__{HISTOGRAM}", [*_vectors(found.histogram)]))
    return pa.concat_tables([user, about.rows(range(count), [key] * count, answer.products.ids, values)])


def _purposes(plan: ReadPlan) -> frozenset[str]:
    of_views = {view.purpose for view in plan.views if view.purpose}
    return frozenset(of_views | ({plan.purpose} if plan.purpose else set()))


@dataclass
class _Values:
    """Columns by name: numbers float64 (n,), NaN for none; vectors and texts as lists of n, None for none."""

    numbers: list[tuple[str, npt.NDArray[np.float64]]]
    vectors: list[tuple[str, list[Any]]]
    texts: list[tuple[str, list[Any]]]
    times: list[tuple[str, npt.NDArray[np.int64]]]

    @property
    def names(self) -> list[list[str]]:
        return [[name for name, _ in some] for some in (self.numbers, self.vectors, self.texts, self.times)]


def _of_blocks(blocks: Iterable[Block], *, wide: bool = True) -> _Values:
    """What blocks hold; with `wide` vectors and texts as well. Kinds that none of our views has are left out."""
    values = _Values([], [], [], [])
    for block in blocks:
        label, matrix = block.plan.label, block.numbers()
        values.numbers += [(f"{label}__{name}", matrix[:, i]) for i, name in enumerate(block.plan.numbers)]
        values.times.append((label, block.times))
        for name in block.plan.others if wide else ():
            if block.is_vector(name):
                values.vectors.append((f"{label}__{name}", [*_vectors(block.column(name))]))
            elif (kind := block.kind(name)) in _TEXTS:
                listed = block.values(name)
                texts = [None if v is None else [v] for v in listed] if kind == "text" else listed
                values.texts.append((f"{label}__{name}", texts))
    return values


def _vectors(column: npt.NDArray[Any] | list[Any]) -> Iterable[npt.NDArray[Any] | None]:
    for vector in column:
        yield None if vector is None or not len(vector) or np.isnan(vector[0]) else vector


class _About:
    """What the rows of one answer have in common."""

    def __init__(self, answered: Answered, plan: ReadPlan, purposes: frozenset[str]) -> None:
        self._standing: dict[str, Any] = {
            "answer_id": uuid.uuid4().hex,
            "asked_at": answered.asked_at,
            "service": plan.service,
            "release": plan.release,
            "purposes": sorted(purposes),
        }

    def rows(
        self, places: Sequence[int], subjects: Sequence[str | None], products: Sequence[str | None], values: _Values
    ) -> pa.Table:
        count = len(places)
        numbers = np.stack([column for _, column in values.numbers], axis=1) if values.numbers else np.zeros((count, 0))
        times = np.stack([column for _, column in values.times], axis=1) if values.times else np.zeros((count, 0))
        given = numbers_of, vectors_of, texts_of, times_of = values.names
        flat_times = times.reshape(-1).astype(np.int64)
        columns: dict[str, Any] = {
            "place": pa.array(places),
            "subject_id": pa.array(subjects, pa.string()),
            "product_id": pa.array(products, pa.string()),
            "numbers": _map(numbers_of, pa.array(numbers.reshape(-1), pa.float64(), from_pandas=True), count),
            "vectors": _map(vectors_of, _interleaved(values.vectors, pa.list_(pa.float32())), count),
            "texts": _map(texts_of, _interleaved(values.texts, pa.list_(pa.string())), count),
            "event_timestamps": _map(
                times_of, pa.array(flat_times, mask=flat_times == 0).cast(pa.timestamp("us", tz="UTC")), count
            ),
        }
        standing = self._standing | {"shape": _shape(given), "log_file": None}
        kinds = {name: SCHEMA.field(name).type for name in standing}
        repeated = {name: pa.array([value] * count, kinds[name]) for name, value in standing.items()}
        return pa.table({name: (columns | repeated)[name] for name in SCHEMA.names}).cast(SCHEMA)


def _shape(names: list[list[str]]) -> str:
    return hashlib.sha256("\n\n".join("\n".join(some) for some in names).encode()).hexdigest()[:16]


def _interleaved(columns: list[tuple[str, list[Any]]], kind: pa.DataType) -> pa.Array:
    """Row by row, each row's columns in order."""
    if not columns:
        return pa.array([], kind)
    return pa.array([value for row in zip(*(column for _, column in columns), strict=True) for value in row], kind)


def _map(names: list[str], items: pa.Array, count: int) -> pa.MapArray:
    """Per row the same names with that row's items."""
    keys = pa.array(names, pa.string()).take(np.tile(np.arange(len(names)), count))
    offsets = pa.array(np.arange(count + 1) * len(names), pa.int32())
    return pa.MapArray.from_arrays(offsets, keys, items)
