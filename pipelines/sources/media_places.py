"""Where a home's media lie, read without Spark."""

from __future__ import annotations

from collections import defaultdict

import pyarrow.compute as pc

from pipelines.point_in_time.published import Published
from pipelines.tables.sources import MEDIA


def media_places(published: Published) -> dict[str, tuple[str, ...]]:
    """The paths and URIs with the bytes of each content hash, sorted. Raises TableNotFoundError."""
    rows = published.rows(MEDIA, ["media_path", "content_hash"])
    rows = rows.filter(pc.and_(pc.is_valid(rows["media_path"]), pc.is_valid(rows["content_hash"])))
    places: dict[str, set[str]] = defaultdict(set)
    for row in rows.to_pylist():
        places[row["content_hash"]].add(row["media_path"])
    return {content: tuple(sorted(paths)) for content, paths in places.items()}
