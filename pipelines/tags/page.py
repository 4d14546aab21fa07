"""A user's tags as one page to read: what is said, how surely, and the products, searches and facts that carry it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from itertools import groupby
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.html import html_page
from pipelines.point_in_time.published import Published
from pipelines.releases.pin import live_release
from pipelines.settings import Settings
from pipelines.sources.media_places import media_places
from pipelines.sources.thumbnails import thumbnail
from pipelines.tables.features import HISTORIES
from pipelines.tables.schema import Table
from pipelines.tables.sources import MEDIA, PRODUCT_CONTENTS, PRODUCTS
from pipelines.tags.explain import Explanation, Reason
from pipelines.tags.render import explained, origin, piece_text, spoken, tag_title, words

_SIDE = 96  # pixels
_GROUPS_ZH = {
    "interests": "兴趣", "needs": "需求", "consumption": "消费", "value": "价值", "lifecycle": "生命周期",
    "habits": "习惯", "service": "服务", "risk": "风险",
}  # fmt: skip
_COMMENTS = {f"{t.name}.{c.name}": c.comment for t in HISTORIES for c in t.feature_columns}
_STYLE = f"""<style>
.tag {{ border: 1px solid #ddd; border-radius: 6px; padding: .6rem .9rem; margin: .7rem 0; }}
.tag h3 {{ margin: 0; font-size: 1.02rem; }} .tag h3 small {{ font-weight: 400; color: #777; }}
.tag p {{ margin: .15rem 0 .4rem; color: #555; font-size: .9rem; }}
meter {{ width: 7rem; vertical-align: middle; margin: 0 .4rem; }}
.pieces {{ display: flex; flex-wrap: wrap; gap: .6rem; align-items: flex-start; }}
.pieces b {{ flex: 0 0 4.2rem; font-weight: 600; font-size: .85rem; }}
.product {{ width: {_SIDE + 40}px; font-size: .8rem; line-height: 1.3; overflow-wrap: anywhere; }}
.product img {{ display: block; max-width: {_SIDE}px; max-height: {_SIDE}px; background: #f2f2f2; }}
.fact {{ font-size: .85rem; flex: 1 1 100%; }} .against {{ opacity: .65; margin-top: .4rem; }}
</style>"""


@dataclass(frozen=True)
class _Product:
    """What is shown of a product: its newest title, and a picture as a data URL where there is one."""

    title: str
    picture: str | None


def profile_page(settings: Settings, found: Explanation, language: str) -> str:
    """The page of an explanation, "zh" or "en" (any other is "en"); pictures are in it, so it needs nothing else."""
    language = spoken(language)
    products = _products(settings, found)
    head = f"<p>{escape(origin(found))}</p>"
    groups = groupby(sorted(found.reasons, key=lambda r: r.definition.group), key=lambda r: r.definition.group)
    parts = [f"<h2>{escape(_group(name, language))}</h2>" + "".join(_tag(reason, language, products) for reason in of)
             for name, of in groups]  # fmt: skip
    if not parts:
        parts = [f"<p>{escape(words(language)['none'])}</p>"]
    return html_page(found.user_id, _STYLE, f'<div lang="{language}">', head, *parts, "</div>")


def _group(name: str, language: str) -> str:
    return _GROUPS_ZH.get(name, name) if language == "zh" else name.capitalize()


def _tag(reason: Reason, language: str, products: Mapping[str, _Product]) -> str:
    lines = [
        f'<div class="tag"><h3>{escape(tag_title(reason, language))}<meter min="0" max="1" '
        f'value="{reason.confidence:.2f}"></meter>{reason.confidence:.2f} <small>{escape(reason.tag)}</small></h3>',
        *(f"<p>{escape(line)}</p>" for line in explained(reason, language)),
    ]
    for side in ("for", "against"):
        pieces = reason.evidence[side]
        if pieces:
            shown = "".join(_piece(piece, language, products) for piece in pieces)
            lines.append(f'<div class="pieces {side}"><b>{escape(words(language)[side])}</b>{shown}</div>')
    return "".join(lines) + "</div>"


def _piece(piece: Mapping[str, Any], language: str, products: Mapping[str, _Product]) -> str:
    said = escape(piece_text(piece, language))
    product = products.get(piece.get("id", ""))
    if product is None:
        said = f"{escape(piece.get('id', ''))} {said}".strip()
        return f'<span class="fact" title="{escape(_COMMENTS.get(piece.get("feature", ""), ""))}">{said}</span>'
    picture = f'<img src="{product.picture}" alt="">' if product.picture else ""
    return f'<span class="product">{picture}{escape(product.title)}<br>{said}</span>'


def _products(settings: Settings, found: Explanation) -> dict[str, _Product]:
    """Those that the evidence names, by id: what else it names are searches."""
    pieces = [piece for reason in found.reasons for side in ("for", "against") for piece in reason.evidence[side]]
    wanted = pa.array(sorted({piece["id"] for piece in pieces if "id" in piece}), pa.string())
    published = Published(settings, live_release(settings, found.release), datetime.now(UTC))
    titles = _newest(published, PRODUCTS, "title", wanted)
    pictured = _newest(published, PRODUCT_CONTENTS, "members", wanted, modality="product_image")
    first = {key: members[0] for key, members in pictured.items() if members}
    places = media_places(published) if published.exists(MEDIA) else {}
    return {key: _Product(title, thumbnail(places.get(first.get(key, ""), ()), _SIDE)) for key, title in titles.items()}


def _newest(published: Published, table: Table, column: str, wanted: pa.Array, modality: str | None = None) -> Any:
    """A column's newest value by product, of the wanted ones."""
    if not published.exists(table):
        return {}
    rows = published.rows(table, ["product_id", "valid_from", column, *(["modality"] if modality else [])])
    rows = rows.filter(pc.is_in(rows["product_id"], wanted))
    if modality:
        rows = rows.filter(pc.equal(rows["modality"], modality))
    ordered = rows.sort_by("valid_from").to_pylist()
    return {row["product_id"]: row[column] for row in ordered if row[column]}
