"""What each event adds to the profiles: its sums, its weights by content, and itself as an action on a product.

Worked out by the definitions that the daily sums and tiles are made by, each event as a part of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from pipelines.features.daily import event_sums
from pipelines.features.interest_rows import TIMESTAMP
from pipelines.features.scalars import DAILY
from pipelines.features.sliding import NEVER
from pipelines.features.tiles import interest_events, tiles
from pipelines.settings import Settings
from pipelines.tables.definitions import HALF_LIVES_DAYS, INTEREST_WEIGHTS, TILE_WEIGHTS

EVENT_COLUMNS = (
    "event_id", "subject_id", "event_type", "event_timestamp", "event_date", "product_id", "query", "quantity",
    "price", "currency", "channel", "session_id", "dwell_seconds", "attributes", "available_at", "allowed_purposes",
)  # fmt: skip
PICTURE = "product_image"
_INSTANTS = {"at": "event_timestamp", "available": "available_at"}


@dataclass(frozen=True)
class Tile:
    """An event's weight on a content, decayed to the end of its day: one per half-life."""

    modality: str
    content_id: str
    weights: npt.NDArray[np.float64]


@dataclass(frozen=True)
class Act:
    """One event. `day` since 1970, `at` in microseconds; `sums` in the order of DAILY's, amounts as they are.

    `available` is when the event could be known, in microseconds.
    """

    event_id: str
    subject: str
    kind: str
    day: int
    at: int
    available: int
    purposes: tuple[str, ...]
    product: str | None
    session: str | None
    query: str | None
    sums: npt.NDArray[np.float64]
    tiles: tuple[Tile, ...]

    @property
    def lasts(self) -> tuple[int, ...]:
        """In the order of DAILY's."""
        return (self.at, self.at if self.kind == "purchase" else NEVER, NEVER, self.available)

    @property
    def is_product_action(self) -> bool:
        return self.product is not None and self.kind in INTEREST_WEIGHTS

    @property
    def picture(self) -> str | None:
        """The pictures' content that it was about."""
        return next((tile.content_id for tile in self.tiles if tile.modality == PICTURE), None)


def acts_of_events(spark: SparkSession, events: pa.Table, contents: DataFrame, settings: Settings) -> Iterator[Act]:
    """The acts of silver events with `allowed_purposes` (EVENT_COLUMNS). `contents` is silver's product_contents."""
    frame = spark.createDataFrame(events)
    apart = frame.withColumns({"day": F.col("event_date"), "drop_id": F.col("event_id")})
    sums = _sums(event_sums(apart, settings)).toArrow()
    by_event = {name: row for row, name in enumerate(sums["drop_id"].to_pylist())}
    matrix = np.column_stack([sums[name].to_numpy() for name in DAILY.sums])
    weights = _tiles(apart, contents)
    numbers = {"day": events["event_date"].cast(pa.int32())}
    numbers |= {n: events[c].cast(TIMESTAMP).cast(pa.int64()) for n, c in _INSTANTS.items()}
    names = ("event_id", "subject_id", "event_type", "allowed_purposes", "product_id", "session_id", "query")
    for row in pa.table({name: events[name] for name in names} | numbers).to_pylist():
        event = row["event_id"]
        yield Act(
            event, row["subject_id"], row["event_type"], row["day"], row["at"], row["available"],
            tuple(row["allowed_purposes"]), row["product_id"], row["session_id"], row["query"],
            matrix[by_event[event]], tuple(weights.get(event, ())),
        )  # fmt: skip


def _sums(sums: DataFrame) -> DataFrame:
    """All columns that the daily sums have; what events say nothing of is zero."""
    missing = {name: F.lit(0) for name in DAILY.sums if name not in sums.columns}
    missing[DAILY.once] = F.lit(1)
    rows = sums.withColumns(missing)
    return rows.select("drop_id", *(F.coalesce(name, F.lit(0)).cast("double").alias(name) for name in DAILY.sums))


def _tiles(events: DataFrame, contents: DataFrame) -> dict[str, list[Tile]]:
    acts = interest_events(events).withColumn("content_hash", F.lit(None).cast("string"))
    wanted = contents.join(F.broadcast(acts.select("product_id").distinct()), "product_id", "left_semi")
    found = tiles(acts, wanted).select("drop_id", "modality", "content_id", *TILE_WEIGHTS).toArrow()
    weights = np.column_stack([found[f"weight_{h}d"].to_numpy() for h in HALF_LIVES_DAYS])
    of_event: dict[str, list[Tile]] = {}
    names = zip(*(found[name].to_pylist() for name in ("drop_id", "modality", "content_id")), strict=True)
    for (event, modality, content), weight in zip(names, weights, strict=True):
        of_event.setdefault(event, []).append(Tile(modality, content, weight))
    return of_event
