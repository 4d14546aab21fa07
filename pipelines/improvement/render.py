"""What to improve, in a terminal and as JSON; aspects are named in both languages."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

from rich.console import Group
from rich.table import Table
from rich.text import Text

from pipelines.improvement.products import DAYS, AspectOpinions, ProductOpinions
from pipelines.improvement.quotes import Quote

CHINESE = {
    "quality": "质量",
    "price": "价格",
    "size": "尺寸",
    "delivery": "物流",
    "service": "服务",
    "packaging": "包装",
    "appearance": "外观",
}
# A share of texts; less is no trend.
_STEADY = 0.02


def opinions_json(products: Sequence[ProductOpinions]) -> str:
    """One JSON array; quotes with the id of their review or message."""
    return json.dumps([asdict(product) for product in products], ensure_ascii=False, indent=2) + "\n"


def render_product(product: ProductOpinions) -> Group:
    """A product's aspects, most blamed first, with trend and quotes."""
    head = Text(f"{product.product_id}  {product.title or ''}", style="bold")
    if not product.texts:
        return Group(head, Text(f"nobody wrote of it in {DAYS} days"))
    mean = "" if product.sentiment is None else f", mean sentiment {product.sentiment:+.2f}"
    facts = Text(f"{product.texts} texts in {DAYS} days, {product.displeased} displeased{mean}")
    table = Table("aspect", "blamed", "praised", "of late", "in their words")
    for aspect in product.aspects:
        table.add_row(
            f"{CHINESE[aspect.aspect]} {aspect.aspect}",
            str(aspect.blamed),
            str(aspect.praised),
            _trend(aspect),
            Text("\n".join([_words("−", q) for q in aspect.complaints] + [_words("+", q) for q in aspect.compliments])),
        )
    return Group(head, facts, table)


def render_category(products: Sequence[ProductOpinions]) -> Table:
    """Products, worst first, each with what it is blamed for most."""
    table = Table("product", "title", "texts", "displeased", "blamed for", "of late", "in their words")
    for product in products:
        worst = next((aspect for aspect in product.aspects if aspect.blamed), None)
        table.add_row(
            product.product_id,
            product.title or "",
            str(product.texts),
            str(product.displeased),
            "" if worst is None else f"{CHINESE[worst.aspect]} {worst.aspect} ({worst.blamed})",
            "" if worst is None else _trend(worst),
            Text("" if worst is None else "\n".join(_words("−", quote) for quote in worst.complaints)),
        )
    return table


def _trend(aspect: AspectOpinions) -> str:
    if aspect.trend is None:
        return ""
    if abs(aspect.trend) < _STEADY:
        return "steady"
    return f"{'worse' if aspect.trend > 0 else 'better'} ({aspect.trend:+.0%})"


def _words(sign: str, quote: Quote) -> str:
    return f"{sign} {quote.words} ({quote.text_id})"
