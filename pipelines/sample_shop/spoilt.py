"""The record of what was spoilt: one entry per dirty row or file, for the truth."""

from dataclasses import dataclass
from enum import StrEnum


class Fate(StrEnum):
    """What a careful shop does with it."""

    REJECT = "reject"
    DUPLICATE = "duplicate"  # take one of the repetitions
    KEEP = "keep"  # odd, but valid


@dataclass(frozen=True)
class Spoilt:
    """A dirty row, or a dirty file.

    Attributes:
        table: source table, or "media".
        kind: what is wrong.
        file: file of the drop, relative to it.
        row: place of the row among the file's rows, from 0, header aside; None for a file.
        key: the row's key as the contract has it, parts joined by " | "; None where it has none.
        witness: some of the row's own text, so that a row without key can be recognised: the whole line where it
            cannot be parsed, else the value of a column that is not spoilt.
    """

    table: str
    kind: str
    fate: Fate
    file: str
    row: int | None
    key: str | None
    witness: str | None = None

    @property
    def name(self) -> str:
        return f"{self.table}.{self.kind}"
