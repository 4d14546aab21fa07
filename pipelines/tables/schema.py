"""How a table is declared: columns with comments, keys, partitioning and retention. Plain Python, no Spark."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

_TIME_TYPES = frozenset({"timestamp", "date"})
# Delta keeps least and greatest values of these alone.
_WITH_STATISTICS = _TIME_TYPES | {"string", "bigint", "int", "double", "float"}
Layer = Literal["bronze", "silver", "features", "governance"]


@dataclass(frozen=True)
class Column:
    """A column: its name, its Spark SQL type in DDL form and what it means."""

    name: str
    type: str
    comment: str


@dataclass(frozen=True)
class Table:
    """A Delta table.

    `keys` identify a row; in a feature history they are followed by `event_timestamp` and `created_at`.
    `retention_days` is how long removed rows stay readable by time travel before a vacuum.
    """

    name: str
    layer: Layer
    comment: str
    columns: tuple[Column, ...]
    keys: tuple[str, ...]
    partition_by: tuple[str, ...] = ()
    # Liquid clustering: files are skipped by these columns' statistics, and one day's few rows do not become a file.
    cluster_by: tuple[str, ...] = ()
    retention_days: int = 30
    # Purposes (see settings) a table of user features is computed for, each row belonging to one.
    purposes: tuple[str, ...] = ()
    # The part of a release the values depend on: "clip", "review", "fused", "opinions" (the heads on the encoder of
    # reviews), or None where no encoder is involved.
    depends_on: str | None = None
    entity: str | None = field(default=None)

    @property
    def ddl(self) -> str:
        """The schema as Spark SQL DDL, comments included."""
        return ", ".join(f"`{c.name}` {c.type} COMMENT '{c.comment.replace(chr(39), chr(8217))}'" for c in self.columns)

    @property
    def column_names(self) -> tuple[str, ...]:
        return tuple(c.name for c in self.columns)

    @property
    def skipping_columns(self) -> tuple[str, ...]:
        """The columns that files are skipped by: keys, what the table is clustered by, and times."""
        types = {c.name: c.type for c in self.columns if c.name not in self.partition_by}
        names = dict.fromkeys((*self.keys, *self.cluster_by, *(n for n, t in types.items() if t in _TIME_TYPES)))
        return tuple(name for name in names if types.get(name) in _WITH_STATISTICS)

    @property
    def feature_columns(self) -> tuple[Column, ...]:
        """The columns that are values, not keys, partitions or times."""
        return tuple(c for c in self.columns if c.name not in {*self.keys, *self.partition_by, *TIME_NAMES})

    @property
    def join_key(self) -> str:
        """The id that rows are asked for by, where an entity is declared."""
        return f"{self.entity}_id"

    def location(self, home: str) -> str:
        """Where the table lives below a home (a path or URI without trailing slash)."""
        return f"{home}/tables/{self.layer}/{self.name}"


EVENT_TIMESTAMP = Column("event_timestamp", "timestamp", "UTC instant at which the value became true")
CREATED_AT = Column("created_at", "timestamp", "UTC instant at which the value could first have been known")
WRITTEN_AT = Column("written_at", "timestamp", "UTC wall-clock instant of the write; never joined on")
TIMES = (EVENT_TIMESTAMP, CREATED_AT, WRITTEN_AT)
TIME_NAMES = frozenset(c.name for c in TIMES)

DROP_ID = Column("drop_id", "string", "the drop that brought the row; a fingerprint of its content")
INGESTED_AT = Column("ingested_at", "timestamp", "UTC time of the run that took the drop in")
AVAILABLE_AT = Column(
    "available_at",
    "timestamp",
    "UTC instant at which the row could be known: its own time plus the source delay in a load of history, "
    "else its ingestion",
)
