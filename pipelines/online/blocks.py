"""The rows of many entities of one view as columns, without touching single values where rows are alike."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from pipelines.online.layout import ABSENT, HEAD_SIZE, NULL, PRESENT, TIMES_AT, VECTORS
from pipelines.online.plans import ViewPlan
from pipelines.online.values import scalar_of, unpack_texts

# As in Feast's FieldStatus, and one of ours.
IS_PRESENT, IS_NULL, NOT_FOUND, OUTSIDE_TTL, NO_CONSENT = 1, 2, 3, 4, 5
STATUS_NAMES = ("INVALID", "PRESENT", "NULL_VALUE", "NOT_FOUND", "OUTSIDE_MAX_AGE", "NO_CONSENT")
_STATUS = np.zeros(3, np.uint8)
_STATUS[[ABSENT, PRESENT, NULL]] = NOT_FOUND, IS_PRESENT, IS_NULL
Statuses = npt.NDArray[np.uint8]
Micros = npt.NDArray[np.int64]


class Block:
    """A view's rows of n entities, in the order asked.

    Attributes:
        plan: the view and its wanted features.
        statuses: uint8 (n, wanted features), see STATUS_NAMES.
        complete: whether every feature of every entity is present.
        times: int64 (n,), event_timestamp in microseconds since 1970 UTC; 0 where nothing may be told.
    """

    def __init__(self, plan: ViewPlan, rows: Sequence[bytes | None], refused: Sequence[int] = ()) -> None:
        """`rows` are of the plan's schema; those of `refused` places (no consent) must be None."""
        schema = plan.schema
        self.plan = plan
        self._count = len(rows)
        self._rows = [row or schema.nothing for row in rows]
        size = len(self._rows[0]) if self._rows else schema.prefix
        self._alike = all(len(row) == size for row in self._rows)
        cut = self._rows if self._alike else [row[: schema.prefix] for row in self._rows]
        width = size if self._alike else schema.prefix
        self._bytes = np.frombuffer(b"".join(cut), np.uint8).reshape(self._count, width)
        self.times: Micros = self._bytes[:, TIMES_AT : TIMES_AT + 8].view(np.int64)[:, 0]
        end = HEAD_SIZE + len(schema.features)
        # Most rows have every feature, and then nothing need be looked at again.
        self.complete = all(row[HEAD_SIZE:end] == schema.complete for row in self._rows)
        self.statuses: Statuses = self._told(self._bytes[:, HEAD_SIZE:end])
        if plan.ttl:
            outside = (self.times > 0) & (self.times < int(time.time() * 1e6) - plan.ttl)
            self.statuses[outside] = OUTSIDE_TTL
            self.complete = self.complete and not outside.any()
        if refused:
            self.statuses[list(refused)] = NO_CONSENT

    def _told(self, states: Statuses) -> Statuses:
        if self.complete:
            return np.full((self._count, len(self.plan.features)), IS_PRESENT, np.uint8)
        if len(self.plan.features) < states.shape[1]:
            states = states[:, [self.plan.schema.positions[name] for name in self.plan.features]]
        return _STATUS[states]

    def present(self, name: str) -> npt.NDArray[np.bool_]:
        """Whether each entity has a value of the feature, bool (n,)."""
        present: npt.NDArray[np.bool_] = self.statuses[:, self.plan.places[name]] == IS_PRESENT
        return present

    def kind(self, name: str) -> str:
        return self.plan.schema.features[self.plan.schema.positions[name]][1]

    def is_vector(self, name: str) -> bool:
        return self.kind(name) in VECTORS

    def column(self, name: str) -> npt.NDArray[Any] | list[Any]:
        """A feature's values, meaningful only where `present`.

        Numbers: int64, float64, bool or datetime64[us] (n,). Vectors: float32 or float64 (n, d) with NaN where there
        is none, or a list of vectors and None where lengths differ. All else: a list, None where there is none.
        """
        schema = self.plan.schema
        position = schema.positions[name]
        kind, slot = schema.features[position][1], schema.slots[position]
        if kind in VECTORS:
            return self._alike_vectors(kind, slot) if self._one_shape else self._vectors(kind, slot, self.present(name))
        if position not in schema.fixed:
            spans = zip(self._rows, *self._spans(slot), self.present(name), strict=True)
            return [_content(kind, row[a:b]) if has else None for row, a, b, has in spans]
        at = schema.fixed_at + 8 * slot
        raw = self._bytes[:, at : at + 8]
        if kind in ("float32", "float64"):
            floats: npt.NDArray[np.float64] = raw.view(np.float64)[:, 0]
            return floats
        integers: npt.NDArray[np.int64] = raw.view(np.int64)[:, 0]
        if kind == "instant":
            return integers.astype("datetime64[us]")
        return integers.astype(bool) if kind == "bool" else integers

    def numbers(self) -> npt.NDArray[np.float64]:
        """All features of fixed width, `plan.numbers` in order, float64 (n, numbers), NaN where there is none.

        Instants are microseconds since 1970; integers beyond 2**53 are rounded.
        """
        plan = self.plan
        matrix = self._fixed(np.float64, plan.float_slots)
        if plan.integers:
            floats, matrix = matrix, np.empty((self._count, len(plan.numbers)))
            matrix[:, [i for i, name in enumerate(plan.numbers) if name in plan.floats]] = floats
            integers = self._fixed(np.int64, plan.integer_slots)
            matrix[:, [i for i, name in enumerate(plan.numbers) if name not in plan.floats]] = integers
        if not self.complete:
            missing = self.statuses[:, [plan.places[name] for name in plan.numbers]] != IS_PRESENT
            matrix = np.where(missing, np.nan, matrix)
        return matrix

    def integers(self) -> tuple[tuple[str, ...], npt.NDArray[np.int64]]:
        """Names and values (n, names) of integers, bools and instants (microseconds); meaningful where present."""
        return self.plan.integers, self._fixed(np.int64, self.plan.integer_slots)

    def floats(self) -> tuple[tuple[str, ...], npt.NDArray[np.float64]]:
        """Names and values (n, names) of floats; meaningful where present."""
        return self.plan.floats, self._fixed(np.float64, self.plan.float_slots)

    def _fixed(self, dtype: type[Any], slots: slice | list[int]) -> npt.NDArray[Any]:
        schema = self.plan.schema
        return self._bytes[:, schema.fixed_at : schema.ends_at].view(dtype)[:, slots]

    def values(self, name: str) -> list[Any]:
        """A feature's values as Python's, None where there is none; vectors as lists, instants as microseconds."""
        return self.all_values([name])[0]

    def all_values(self, names: Sequence[str] | None = None, *, arrays: bool = False) -> list[list[Any]]:
        """The same of several features, or of all wanted; cheaper than one by one.

        With `arrays`, vectors as contiguous arrays (d,).
        """
        schema = self.plan.schema
        fixed = self._bytes[:, schema.fixed_at : schema.ends_at]
        integers = fixed.view(np.int64).T.tolist() if self.plan.integers else []
        floats = fixed.view(np.float64).T.tolist() if self.plan.floats else []
        statuses = [] if self.complete else self.statuses.T.tolist()
        found, wanted = [], self.plan.features
        for feature in wanted if names is None else names:
            position = schema.positions[feature]
            kind, slot = schema.features[position][1], schema.slots[position]
            if position not in schema.fixed:
                column = self.column(feature)
                if arrays:
                    listed = (
                        [*np.require(column, requirements=["C", "A"])] if isinstance(column, np.ndarray) else column
                    )
                else:
                    listed = column.tolist() if isinstance(column, np.ndarray) else [*map(_listed, column)]
            elif kind == "bool":
                listed = [*map(bool, integers[slot])]
            else:
                listed = (floats if kind in ("float32", "float64") else integers)[slot]
            if self.complete:
                found.append(listed)
                continue
            told = statuses[self.plan.places[feature]]
            found.append([v if status == IS_PRESENT else None for v, status in zip(listed, told, strict=True)])
        return found

    def _spans(self, slot: int) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32]]:
        schema = self.plan.schema
        ends = self._bytes[:, schema.ends_at : schema.ends_at + 4 * len(schema.variable)].view(np.uint32)
        starts = ends[:, slot - 1] if slot else np.full(self._count, schema.prefix, np.uint32)
        return starts, ends[:, slot]

    @cached_property
    def _one_shape(self) -> bool:
        """Whether all rows have every feature, each of the same width."""
        schema = self.plan.schema
        first = self._rows[0][schema.ends_at : schema.prefix] if self._rows else b""
        alike = self._alike and self.complete and bool(self._rows)
        return alike and all(row[schema.ends_at : schema.prefix] == first for row in self._rows)

    def _alike_vectors(self, kind: str, slot: int) -> npt.NDArray[Any]:
        starts, ends = self._spans(slot)
        return self._bytes[:, starts[0] : ends[0]].view(VECTORS[kind])

    def _vectors(self, kind: str, slot: int, present: npt.NDArray[np.bool_]) -> npt.NDArray[Any] | list[Any]:
        dtype = VECTORS[kind]
        starts, ends = self._spans(slot)
        sizes = (ends - starts) // dtype.itemsize
        each = [
            np.frombuffer(row, dtype, int(size), int(a)) if has else None
            for row, a, size, has in zip(self._rows, starts, sizes, present, strict=True)
        ]
        if len(set(sizes[present])) > 1:
            return each
        matrix = np.full((self._count, int(sizes[present][0]) if present.any() else 0), np.nan, dtype)
        for i, vector in enumerate(each):
            if vector is not None:
                matrix[i] = vector
        return matrix


def _content(kind: str, raw: bytes) -> Any:
    return unpack_texts(raw) if kind == "texts" else scalar_of(kind, raw) if kind != "proto" else raw


def _aligned(value: Any) -> Any:
    return np.require(value, requirements=["C", "A"]) if isinstance(value, np.ndarray) else value


def _listed(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray) else value
