"""What to improve about products."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Annotated

import typer

from pipelines.cli.app import AsOf, Home, app, console, instant
from pipelines.errors import SettingsError
from pipelines.settings import load_settings


@app.command()
def opinions(
    product_id: Annotated[str | None, typer.Argument(help="A product.")] = None,
    category: Annotated[str | None, typer.Option(help="A category: its products, worst first.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Products of a category to list.")] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable.")] = False,
    home: Home = None,
    as_of: AsOf = None,
) -> None:
    """What reviews and messages praise and blame about a product, with trend and quotes: what to improve.

    As it was known at --as-of; quotes are of writers who allow personalisation now.

    [dim]mmfs opinions p00017 --home state[/dim]
    [dim]mmfs opinions --category shoes --as-of 2026-06-30T00:00:00Z --json[/dim]
    """
    if (product_id is None) == (category is None):
        raise SettingsError("name one product, or one --category")
    from pipelines.improvement import products, render

    settings, moment = load_settings(home=home), instant(as_of) or datetime.now(UTC)
    if product_id is not None:
        found = [products.opinions_of_product(settings, product_id, moment)]
    else:
        found = products.opinions_of_category(settings, category or "", moment)[:limit]
    if as_json:
        sys.stdout.write(render.opinions_json(found))
    else:
        console.print(render.render_category(found) if category else render.render_product(found[0]))
