"""One HTML page that needs nothing else: no script, no network."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape

_FIGURE = re.compile(r"[-+]?[\d.,]+%?( .{0,24})?")

_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }}
h1 {{ font-size: 1.5rem; margin-bottom: .2rem; }}
h2 {{ font-size: 1.15rem; margin: 2.2rem 0 .3rem; border-top: 1px solid #ddd; padding-top: 1rem; }}
p {{ max-width: 48rem; margin: .3rem 0 .8rem; }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .92rem; }}
th, td {{ text-align: left; padding: .15rem .9rem .15rem 0; vertical-align: top; }}
th {{ border-bottom: 1px solid #999; font-weight: 600; }}
td {{ overflow-wrap: break-word; max-width: 26rem; }}
td.figure {{ white-space: nowrap; }}
.absent {{ color: #777; }}
svg {{ max-width: 100%; height: auto; margin: .6rem 0; }}
details summary {{ cursor: pointer; color: #555; }}
</style></head><body>
<h1>{title}</h1>
{parts}
</body></html>
"""


def html_page(title: str, *parts: str) -> str:
    """A page with the title above parts that are markup."""
    return _PAGE.format(title=escape(title), parts="\n".join(parts))


def html_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of texts; without a header row where all its names are empty."""
    head = "".join(f"<th>{escape(name)}</th>" for name in header) if any(header) else ""
    body = "".join("<tr>" + "".join(_cell(value) for value in row) + "</tr>" for row in rows)
    return f"<table>{f'<tr>{head}</tr>' if head else ''}{body}</table>"


def _cell(value: str) -> str:
    """A figure, with its unit or interval, stays on one line."""
    return f"<td{' class=figure' if _FIGURE.fullmatch(value) else ''}>{escape(value)}</td>"
