"""What models and homes have to do with releases: check a model, carry a release to another home, mend a home."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli.app import Home, app, console, messages
from pipelines.cli.releases import AsJson, encoders, releases
from pipelines.settings import load_settings

if TYPE_CHECKING:
    from pipelines.releases.doctor import Finding


@encoders.command()
def register(
    encoder: Annotated[str, typer.Argument(help="URI of the encoder, as in the settings.")],
    home: Home = None,
) -> None:
    """Make an encoder a version in MLflow, with its card, checksum and dimensions. Nothing is served by it yet.

    [dim]mmfs encoders register open-clip:/models/tuned --home state[/dim]
    """
    from pipelines.releases.candidates import candidate
    from pipelines.releases.registry import register_encoder

    settings = load_settings(home=home)
    spec = candidate(encoder, settings)
    found = register_encoder(spec, settings)
    said = f"{found.uri}  {spec.key}  {spec.dimensions} dimensions  {spec.checksum or 'no checksum'}"
    console.print(said, soft_wrap=True, highlight=False)


@encoders.command()
def bridge(
    new: Annotated[str, typer.Argument(help="The encoder whose queries are to be asked, as in `encoders compare`.")],
    old: Annotated[str, typer.Argument(help="The one that the catalogue is encoded with.")],
    on: Annotated[str | None, typer.Option("--on", "--home", help="Home to fit it on. Default: MMFS_HOME.")] = None,
    out: Annotated[Path, typer.Option(help="File to write.")] = Path("bridge.npz"),
    kind: Annotated[str | None, typer.Option(help="orthogonal or low-rank affine. Default: what finds more.")] = None,
) -> None:
    """A map of new queries into the old space, for the time until a backfill ends; with its measured recall.

    Nothing uses it by itself: `pipelines.releases.bridge.Bridge.read(file).mapped(vectors)`.

    [dim]mmfs encoders bridge open-clip:/models/tuned models:/compact-clip@champion --on state[/dim]
    """
    from pipelines.releases.compare.build_bridge import build_bridge

    with messages.status("starting") as status:
        made, figures = build_bridge(load_settings(home=on), new, old, out, kind, announce=status.update)
    for figure in figures:
        console.print(f"{figure.part}: {figure.quantity} {figure.estimate}", soft_wrap=True, highlight=False)
    console.print(f"{out}: {made.new} into the space of {made.old}, {made.kind}", soft_wrap=True, highlight=False)


@releases.command("check")
def check(
    model: Annotated[str, typer.Argument(help="A registered model: models:/churn/3 or models:/churn@serving.")],
    as_json: AsJson = False,
    home: Home = None,
) -> None:
    """Which services may serve a registered model: those of the release it learned from. Refuses where none is live.

    [dim]mmfs releases check models:/churn/3 --home state[/dim]
    """
    from pipelines.releases.check import check_model

    found = check_model(load_settings(home=home), model)
    if as_json:
        values = {"model": found.uri, "learned_from": found.lineage.release, "release": found.release}
        sys.stdout.write(json.dumps(values | {"services": found.services}, indent=2) + "\n")
    else:
        console.print(str(found), soft_wrap=True, highlight=False)


@releases.command("export")
def export(
    release: Annotated[str, typer.Argument(help="A release of this home, live or not.")],
    file: Annotated[Path, typer.Argument(help="File to write.")],
    home: Home = None,
) -> None:
    """Write a release into a file for another home: its manifest, encoders and figures (docs/environments.md).

    [dim]mmfs releases export r2 r2.release --home staging[/dim]
    """
    from pipelines.releases.carrying import export_release
    from pipelines.releases.render import readable_bytes

    size = export_release(load_settings(home=home), release, file)
    console.print(f"{file}: {readable_bytes(size)}", soft_wrap=True, highlight=False)


@releases.command("import")
def take_in(
    file: Annotated[Path, typer.Argument(help="What `mmfs releases export` wrote.")],
    encoders: Annotated[
        Path | None, typer.Option(help="Folder for the encoders' files, seen by all workers. Default: in the home.")
    ] = None,
    home: Home = None,
) -> None:
    """Take a release of another home in: its encoders are registered here, and wait to be promoted.

    [dim]mmfs releases import r2.release --home prod[/dim]
    """
    from pipelines.releases.carrying import import_release

    settings = load_settings(home=home)
    found = import_release(settings, file, encoders)
    for part, encoder in found.encoders.items():
        console.print(f"{part}: {encoder.name}/{encoder.version}, {encoder.uri}", soft_wrap=True, highlight=False)
    if found.heads:
        console.print(f"heads: {found.heads.key}", soft_wrap=True, highlight=False)
    if found.new or found.tags:
        parts = [*found.new, *(["--tags", found.tags] if found.tags else []), "--home", settings.home]
        command = f"mmfs releases promote {' '.join(parts)}"
        console.print(f"next: {command}", soft_wrap=True, highlight=False)
    else:
        console.print("the default release here has these encoders already")


@app.command()
def doctor(
    mend: Annotated[bool, typer.Option("--repair", help="Bring what disagrees to what the pin says.")] = False,
    home: Home = None,
) -> None:
    """Does everything follow the pin: encoders' files, MLflow's aliases, Feast's registry, the online store?

    Ends in code 1 where something is left that does not.

    [dim]mmfs doctor --home state[/dim]
    [dim]mmfs doctor --repair[/dim]
    """
    from pipelines.releases.doctor import examine, repair

    settings = load_settings(home=home)
    findings = examine(settings)
    _print_findings(findings)
    if mend and any(finding.cure for finding in findings):
        repair(settings, findings)
        findings = examine(settings)
        console.print("after repair:")
        _print_findings(findings)
    if findings:
        raise typer.Exit(1)


def _print_findings(findings: Sequence[Finding]) -> None:
    for finding in findings:
        console.print(
            f"{finding.where}: {finding.found}; {finding.advice}", soft_wrap=True, highlight=False, markup=False
        )
    if not findings:
        console.print("everything follows the pin")
