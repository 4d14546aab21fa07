"""Encoder versions and releases: what there is, with aliases and where it is used."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any

import typer

from pipelines.cli.app import Home, app, console
from pipelines.settings import load_settings

encoders = typer.Typer(help="Encoder versions: list them.", no_args_is_help=True)
releases = typer.Typer(help="Releases: list those that are live.", no_args_is_help=True)
app.add_typer(encoders, name="encoders")
app.add_typer(releases, name="releases")
AsJson = Annotated[bool, typer.Option("--json", help="Machine-readable.")]


@encoders.command("list")
def list_encoders(as_json: AsJson = False, home: Home = None) -> None:
    """Every registered encoder version, with its aliases and where it is used.

    [dim]mmfs encoders list --home state[/dim]
    """
    from pipelines.releases.inventory import listed_encoders
    from pipelines.releases.render import render_encoders

    found = listed_encoders(load_settings(home=home))
    if as_json:
        _write_json(found)
    else:
        console.print(render_encoders(found))


@releases.command("list")
def list_releases(as_json: AsJson = False, home: Home = None) -> None:
    """The live releases, with their encoders and where each is used.

    [dim]mmfs releases list --home state --json[/dim]
    """
    from pipelines.releases.inventory import listed_releases
    from pipelines.releases.render import render_releases

    found = listed_releases(load_settings(home=home))
    if as_json:
        _write_json(found)
    else:
        console.print(render_releases(found))


def _write_json(found: Sequence[Any]) -> None:
    sys.stdout.write(json.dumps([asdict(entry) for entry in found], ensure_ascii=False, indent=2) + "\n")
