"""What moves releases: promote, roll back, retire."""

from __future__ import annotations

from typing import Annotated

import typer

from pipelines.cli.app import Home, console, messages
from pipelines.cli.releases import releases
from pipelines.errors import SettingsError
from pipelines.releases.compare import DEFAULT_MARGIN
from pipelines.settings import load_settings

Where = Annotated[str | None, typer.Option("--on", "--home", help="Home to promote in. Default: MMFS_HOME.")]


@releases.command()
def promote(
    encoders: Annotated[
        list[str] | None,
        typer.Argument(help="Encoders as in `mmfs encoders compare` (pictures, texts, or both); heads:FILE are heads."),
    ] = None,
    tags: Annotated[
        str | None, typer.Option("--tags", help="Tags too: a catalogue (YAML), or the id of one that the home keeps.")
    ] = None,
    on: Where = None,
    margin: Annotated[float, typer.Option(min=0, help="What a task may lose without mattering.")] = DEFAULT_MARGIN,
    force: Annotated[bool, typer.Option("--force", help="Whatever the comparison says; needs --reason.")] = False,
    reason: Annotated[str | None, typer.Option(help="Why it is forced; is recorded.")] = None,
    undo: Annotated[bool, typer.Option("--undo", help="Undo the promotion that was cut off.")] = False,
) -> None:
    """Make encoders or tags the default: compare, encode, backfill, check, then move the pin in one step.

    The default release is served meanwhile. Without encoders, a promotion that was cut off is finished.

    [dim]mmfs releases promote open-clip:/models/tuned --on state[/dim]
    [dim]mmfs releases promote --tags our-tags.yaml --on state[/dim]
    [dim]mmfs releases promote models:/compact-clip@challenger --force --reason "the old licence ends"[/dim]
    [dim]mmfs releases promote heads:/models/opinions.safetensors --force --reason "taught on our reviews"[/dim]
    [dim]mmfs releases promote[/dim]
    """
    if force != bool(reason):
        raise SettingsError("--force needs --reason, and --reason --force: why is it promoted whatever the gate says?")
    if undo and (encoders or tags or force):
        raise SettingsError("--undo undoes the promotion that was cut off; it takes no encoders, tags and no --force")
    from pipelines.releases import promote as promotion

    settings = load_settings(home=on)
    with messages.status("starting") as status:
        if undo:
            console.print(f"{promotion.undo(settings, announce=status.update)} was undone")
            return
        release = promotion.promote(
            settings, encoders or [], tags=tags, margin=margin, reason=reason, announce=status.update
        )
    parts = [spec.key for spec in release.encoders.values()]
    parts += [f"tags {release.tags_definition}"] if release.tag_calibrations else []
    console.print(f"{release.name} is the default: {', '.join(parts)}")


@releases.command()
def rollback(
    to: Annotated[str | None, typer.Option(help="A live release. Default: the default before this one.")] = None,
    home: Home = None,
) -> None:
    """Make a live release the default again: the same bytes as before, in seconds.

    [dim]mmfs releases rollback --home state[/dim]
    [dim]mmfs releases rollback --to r1[/dim]
    """
    from pipelines.releases.switch import rollback as roll_back

    console.print(f"{roll_back(load_settings(home=home), to)} is the default")


@releases.command()
def retire(
    name: Annotated[
        str | None, typer.Argument(help="A live release. Without it: delete what earlier ones left, after retention.")
    ] = None,
    home: Home = None,
) -> None:
    """End a release that no model in use consumes: its views, services and online rows now, its rows after retention.

    [dim]mmfs releases retire r1 --home state[/dim]
    [dim]MMFS_RETIRED_RELEASE_DAYS=0 mmfs releases retire[/dim]
    """
    from pipelines.releases.render import readable_bytes
    from pipelines.releases.retire import retire as end

    done = end(load_settings(home=home), name)
    if name:
        online = f"{done.online.rows:,} rows online are gone ({readable_bytes(done.online.bytes)})"
        console.print(f"{name} is no longer live; {online}")
    if done.left_behind:
        console.print(f"superseded models that learned from it stay registered: {', '.join(done.left_behind)}")
    console.print(f"{readable_bytes(done.freed_bytes)} of Delta files were freed")
    for release, until in done.waiting.items():
        console.print(f"the rows of {release} are kept until {until:%Y-%m-%d %H:%M} UTC", highlight=False)
