"""The fused vector: one vector of unit length for all that is known of a user. Recipe "fused/1".

    concatenation of  unit( sum of share x unit(interest) over the CLIP-space interests that were observed )
                 and  unit( review interest ),  divided by sqrt(number of blocks observed)

with the interests' 30-day means in force at the row's time, however old. The CLIP space's interests are mixed with
fixed shares, of which those that are missing drop out: the others' weights grow in proportion. A block of which
nothing was observed is all zeros, and the other block alone has length one; `modalities_observed` tells zeros that
mean "unknown" from values. Nothing observed: a null vector. Changing any of this makes another recipe.

A row stands whenever one of the inputs has a new row. Cost ∝ the dirty users' rows since `from_day`, beside a scan of
the inputs' scalar columns; each input vector is shuffled once.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from functools import reduce
from typing import TYPE_CHECKING

import pyarrow as pa
from pyspark.sql import functions as F

from pipelines.delta import TableStore
from pipelines.features.arrivals import with_late_vectors
from pipelines.features.fused_rows import fused_rows
from pipelines.features.interest_rows import VECTOR
from pipelines.features.interests import MODALITIES, append_rows
from pipelines.features.published import published, with_values
from pipelines.features.steps import bases, published_rows
from pipelines.features.whole_groups import whole_groups
from pipelines.governance.progress import Batch
from pipelines.identity.tombstones import without_erased
from pipelines.point_in_time.history_files import FileColumn
from pipelines.releases.manifest import Release
from pipelines.tables.features import USER_FUSED
from pipelines.tables.sources import TOMBSTONES

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

# Interests count however old they are.
_BEGINNING = dt.datetime(1, 1, 1, tzinfo=dt.UTC)
_SCHEMA = (
    "user_id string, purpose string, vector array<float>, modalities_observed array<string>, "
    "event_timestamp timestamp, created_at timestamp"
)


def build_fused(store: TableStore, batch: Batch, release: Release, dirty_users: DataFrame) -> int:
    """Write the fused rows that a batch adds or corrects, from interests that are written already.

    Returns the number of rows written. Rows that equal the one in force are left out.
    """
    dirty = with_late_vectors(store, batch, release, dirty_users)
    dirty = without_erased(dirty, store.read(TOMBSTONES), "user_id").persist()
    try:
        rows = _inputs(store, release, dirty)
        if rows is None:
            return 0
        fused = rows.repartition("user_id").sortWithinPartitions("user_id", "purpose", "day", "source", "created_at")
        sizes = (release.clip.dimensions, release.review.dimensions)
        made = fused.mapInArrow(_worker(sizes, None if batch.history else batch.as_of), _SCHEMA)
        return append_rows(store, made, USER_FUSED, batch, release.encoder_for("fused"))
    finally:
        dirty.unpersist()


def _inputs(store: TableStore, release: Release, dirty: DataFrame) -> DataFrame | None:
    """The interests' rows by `source`, in the order of MODALITIES, and the fused rows that stand already."""
    frames: list[DataFrame] = []
    for number, table in enumerate((*MODALITIES.values(), USER_FUSED)):
        if not store.exists(table):
            continue
        encoder = release.encoder_for(table.depends_on or "")
        vector = FileColumn("vector", "vector" if table is USER_FUSED else "mean_30d", VECTOR)
        history = published(store, table, encoder, _BEGINNING, [vector])
        rows = published_rows(history, dirty, bases(history, dirty), USER_FUSED.purposes)
        rows = with_values(rows.where("not is_base") if table is USER_FUSED else rows, store.location(table), [vector])
        source = F.lit(number).alias("source")
        frames.append(rows.select("user_id", "purpose", "day", source, "created_at", "is_base", "vector"))
    return reduce(lambda a, b: a.unionByName(b), frames) if frames else None


def _worker(
    sizes: tuple[int, int], as_of: dt.datetime | None
) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for rows in whole_groups(batches, rows=4096):
            yield from fused_rows(rows, sizes, as_of).to_batches(max_chunksize=2048)

    return run
