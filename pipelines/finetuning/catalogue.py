"""The products a shop offered at a moment, with the words and pictures they had then. Read without Spark."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from encoders.errors import ContentError
from encoders.text import normalise_text
from pipelines.point_in_time.published import Published
from pipelines.tables.schema import Table
from pipelines.tables.sources import PRODUCT_CONTENTS, PRODUCTS


@dataclass(frozen=True)
class Offer:
    """A product with a title and pictures; `category` is the first step of its path."""

    product_id: str
    title: str
    category: str
    content_id: str


def offers(published: Published, moment: datetime) -> tuple[Offer, ...]:
    """The version of each product in force and known at a moment, by product id.

    Raises TableNotFoundError where nothing was ingested.
    """
    shown = {
        row["product_id"]: row["content_id"]
        for row in _until(published, PRODUCT_CONTENTS, ["product_id", "modality", "content_id"], moment)
        if row["modality"] == "product_image"
    }
    told = {r["product_id"]: r for r in _until(published, PRODUCTS, ["product_id", "title", "category"], moment)}
    found = []
    for product_id in sorted(told.keys() & shown.keys()):
        title, path = _text(told[product_id]["title"]), told[product_id]["category"] or ""
        if title:
            found.append(Offer(product_id, title, path.split("/")[0].strip(), shown[product_id]))
    return tuple(found)


def picture_sets(published: Published, moment: datetime) -> dict[str, tuple[str, ...]]:
    """The pictures (content hashes) behind each content id that any product had by a moment."""
    rows = _until(published, PRODUCT_CONTENTS, ["product_id", "modality", "content_id", "members"], moment)
    return {r["content_id"]: tuple(r["members"]) for r in rows if r["modality"] == "product_image" and r["members"]}


def _until(published: Published, table: Table, columns: list[str], moment: datetime) -> list[dict[str, Any]]:
    """Versions begun and known by a moment, older ones first."""
    rows = published.rows(table, [*columns, "valid_from", "available_at"]).to_pylist()
    known = [r for r in rows if r["valid_from"] <= moment and (r["available_at"] or moment) <= moment]
    return sorted(known, key=lambda row: row["valid_from"])


def _text(title: str | None) -> str | None:
    try:
        return normalise_text(title or "")
    except ContentError:
        return None
