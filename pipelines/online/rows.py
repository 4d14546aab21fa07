"""What keeps packed rows: the seam between Feast's online store and Redis or SQLite."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from pipelines.errors import OnlineStoreNotReadyError, OnlineStoreOutdatedError
from pipelines.online.layout import LAYOUT, RowSchema, fingerprint_of, translate


class Row(NamedTuple):
    """A packed row, the key of its entity and the id of its view's field."""

    key: bytes
    field: bytes
    packed: bytes


class Held(NamedTuple):
    """What is kept under a field: rows of entities, and the bytes of the packed rows alone."""

    rows: int
    bytes: int


@dataclass(frozen=True)
class Reading:
    """Rows of one read, per key in the order asked, per field in the order asked; None where there is none.

    `mark` is what the last complete filling left, None in a store that was emptied or never filled. `generation`
    is raised by every change of the definitions, before anything is deleted.
    """

    rows: list[list[bytes | None]]
    mark: str | None
    generation: int

    def require_ready(self) -> None:
        """Raises OnlineStoreNotReadyError: what an emptied store lacks may well exist."""
        if self.mark is None:
            raise OnlineStoreNotReadyError(
                "the online store is empty or was written by an earlier version; run: mmfs apply, then mmfs materialise"
            )


class RowKeeper(Protocol):
    """Keeps the rows of one Feast project. Methods raise OnlineStoreUnreachableError; they are safe in threads."""

    def put(self, rows: Sequence[Row], schemas: Mapping[int, str]) -> int:
        """Write each row unless a newer one is there, atomically; returns how many were written."""

    def read(self, keys: Sequence[bytes], fields: Sequence[bytes]) -> Reading:
        """All fields of all keys in one exchange."""

    def held(self, fields: Sequence[bytes]) -> list[Held]:
        """What is kept of each field. Goes through every key of the project: for people, not for services."""

    def delete_keys(self, keys: Sequence[bytes]) -> int:
        """Delete entities with everything kept of them; returns how many there were."""

    def delete_fields(self, fields: Sequence[bytes]) -> None:
        """Delete views of every entity."""

    def delete_everything(self) -> None:
        """Delete all rows, schemas and the mark of the project."""

    def schema(self, fingerprint: int) -> str | None:
        """The JSON of a schema that rows were written with."""

    def set_mark(self, mark: str, *, only_if_none: bool = False) -> None:
        """Declare the store filled."""

    def mark(self) -> str | None:
        """See Reading."""

    def raise_generation(self) -> None:
        """Tell readers that definitions change."""


class Schemas:
    """Brings rows that were written with an earlier schema of their view to the present one."""

    def __init__(self, keeper: RowKeeper) -> None:
        self._keeper = keeper
        self._known: dict[int, RowSchema] = {}

    def as_now(self, schema: RowSchema, row: bytes) -> bytes:
        """The row in the given schema. Raises OnlineStoreOutdatedError where it cannot be read."""
        if row.startswith(schema.head):
            return row
        version, fingerprint = fingerprint_of(row)
        if version != LAYOUT:
            raise OnlineStoreOutdatedError(
                f"a row of the online store has layout {version}, this version reads {LAYOUT}; run: mmfs materialise"
            )
        if fingerprint not in self._known:
            text = self._keeper.schema(fingerprint)
            if text is None:
                raise OnlineStoreOutdatedError(
                    f"the online store no longer says how rows of schema {fingerprint:08x} lie; run: mmfs materialise"
                )
            self._known[fingerprint] = RowSchema.from_json(text)
        return translate(row, self._known[fingerprint], schema)
