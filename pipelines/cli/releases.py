"""Encoder versions and releases: what there is, and how two encoders compare."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from pipelines.cli.app import Home, app, console, messages
from pipelines.releases.compare import DEFAULT_MARGIN
from pipelines.settings import load_settings

encoders = typer.Typer(
    help="Encoder versions: list and register them, compare two, bridge their spaces.", no_args_is_help=True
)
releases = typer.Typer(
    help="Releases: list, promote, roll back, retire, carry to another home; check models against them.",
    no_args_is_help=True,
)
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


@encoders.command("compare")
def compare_encoders(
    first: Annotated[str, typer.Argument(help="URI as in the settings, or MLflow's: models:/compact-clip@champion.")],
    second: Annotated[str, typer.Argument(help="The encoder that might take its place.")],
    on: Annotated[str | None, typer.Option("--on", "--home", help="Home to compare on. Default: MMFS_HOME.")] = None,
    out: Annotated[Path, typer.Option(help="HTML page to write; its figures as JSON beside it.")] = Path(
        "comparison.html"
    ),
    margin: Annotated[float, typer.Option(min=0, help="A difference that does not matter.")] = DEFAULT_MARGIN,
    core_hour_price: Annotated[
        float | None, typer.Option(min=0, help="What an hour of a core costs; adds the cost of a million items.")
    ] = None,
) -> None:
    """Which of two encoders is better on a home's own data, at what, and whether the difference is real.

    [dim]mmfs encoders compare bundled:compact-clip open-clip:/models/tuned --on state[/dim]
    """
    from pipelines.releases.compare.publish import publish_comparison
    from pipelines.releases.compare.render import render_comparison

    settings = load_settings(home=on)
    with messages.status("starting") as status:
        comparison, logged = publish_comparison(
            settings, first, second, out, margin=margin, core_hour_price=core_hour_price, announce=status.update
        )
    console.print(render_comparison(comparison))
    console.print(f"{out}; MLflow run {logged.parent}", soft_wrap=True, highlight=False)


@releases.command("list")
def list_releases(as_json: AsJson = False, home: Home = None) -> None:
    """The live releases, with their encoders and where each is used.

    [dim]mmfs releases list --home state --json[/dim]
    """
    from pipelines.releases.inventory import listed_releases
    from pipelines.releases.journal import read_journal, read_log
    from pipelines.releases.render import render_moves, render_releases

    settings = load_settings(home=home)
    found = listed_releases(settings)
    if as_json:
        _write_json(found)
    else:
        console.print(render_releases(found), render_moves(read_journal(settings), read_log(settings)))


def _write_json(found: Sequence[Any]) -> None:
    sys.stdout.write(json.dumps([asdict(entry) for entry in found], ensure_ascii=False, indent=2) + "\n")
