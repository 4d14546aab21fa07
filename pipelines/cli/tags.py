"""Tags: what there are, how sure they are, and why a user has them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.app import Home, app, console, instant, messages
from pipelines.settings import load_settings

tags = typer.Typer(no_args_is_help=True, help="The tag catalogue: list and check it, calibrate it on a truth.")
app.add_typer(tags, name="tags")
Catalogue = Annotated[
    Path | None, typer.Option("--catalogue", help="YAML file. Default: that of the settings, else the one provided.")
]


@tags.command("list")
def list_tags(catalogue: Catalogue = None, home: Home = None) -> None:
    """Check a catalogue and list its tags, with how well each is calibrated. The home's MLflow knows its models.

    [dim]mmfs tags list --catalogue our-tags.yaml[/dim]
    """
    from pipelines.tags.definition import present_definition
    from pipelines.tags.render import render_catalogue

    console.print(render_catalogue(present_definition(load_settings(home=home, tag_catalogue=catalogue))))


@tags.command()
def calibrate(
    truth: Annotated[Path, typer.Argument(help="Folder with a sample shop's truth (OUT-truth of sample-shop).")],
    out: Annotated[Path, typer.Argument(help="JSON file to write: <catalogue>.calibration.json is read beside it.")],
    at: Annotated[
        list[str] | None,
        typer.Option("--at", help="Moment to judge at, ISO 8601, repeatable. Default: the shop's end."),
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option("--only", help="Write curves of tags whose id begins so alone; repeatable.")
    ] = None,
    home: Home = None,
) -> None:
    """Fit the confidences of a home's tags to the truth of the sample shop that it has taken in.

    A tag that is given by its very definition (nothing looked at in 90 days) needs no curve.

    [dim]mmfs tags calibrate shop-truth tags.calibration.json --only interest --home state[/dim]
    """
    from pipelines.evaluation.truth import Truth
    from pipelines.run import table_store

    settings, known = load_settings(home=home), Truth(truth)
    moments = [moment for text in at or [] if (moment := instant(text, "--at"))] or [known.end]
    with table_store(settings, "mmfs tags calibrate") as store:
        from pipelines.evaluation.render import render_calibration
        from pipelines.evaluation.tag_calibration import calibrated, judgements
        from pipelines.releases.pin import default_release
        from pipelines.tags.confidence import curves_to_json

        with messages.status("judging"):
            judged = judgements(store, default_release(settings), known, moments)
        found = [one for tag, of in sorted(judged.items()) if (one := calibrated(tag, of))]
        kept = {one.tag: one.curve for one in found if one.tag.startswith(tuple(only or [""]))}
        out.write_text(curves_to_json(kept), encoding="utf-8")
        console.print(render_calibration(found))


@app.command()
def explain(
    user_id: Annotated[str, typer.Argument(help="The shop's user id, or a device's with --device.")],
    tag: Annotated[str | None, typer.Argument(help="A tag, or how its id begins. Default: all.")] = None,
    purpose: Annotated[str, typer.Option(help="What the profile is read for: personalisation or marketing.")] = (
        "personalisation"
    ),
    device: Annotated[bool, typer.Option("--device", help="The id is an anonymous device's.")] = False,
    language: Annotated[str, typer.Option("--language", "-l", help="zh or en.")] = "en",
    release: Annotated[str | None, typer.Option(help="A live release. Default: the default one.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable.")] = False,
    page: Annotated[Path | None, typer.Option(help="Write it as one HTML page with the products' pictures.")] = None,
    home: Home = None,
    as_of: Annotated[str | None, typer.Option("--as-of", help="Moment, ISO 8601. Default: now.")] = None,
) -> None:
    """Say which tags a user has and why: what speaks for each, and what against it.

    [dim]mmfs explain u-17 interest --home state --language zh[/dim]
    [dim]mmfs explain u-17 --home state --page u-17.html[/dim]
    """
    from pipelines.tags.explain import explain as explained
    from pipelines.tags.render import render_explanation

    settings = load_settings(home=home)
    found = explained(
        settings,
        user_id,
        kind="device" if device else "user",
        purpose=purpose,
        release=release,
        prefix=tag or "",
        as_of=instant(as_of),
    )
    if page:
        from pipelines.tags.page import profile_page

        page.write_text(profile_page(settings, found, language), encoding="utf-8")
    if as_json:
        sys.stdout.write(found.to_json() + "\n")
    else:
        console.print(render_explanation(found, language))
