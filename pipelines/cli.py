"""The command `mmfs`. Each command loads only what it needs: reading features starts no Spark and no torch."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from pipelines.errors import PipelineError, SettingsError, StorageFullError
from pipelines.settings import Settings, load_settings

app = typer.Typer(
    help="A multimodal feature store for user profiles.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    add_completion=False,
)
console = Console()
messages = Console(stderr=True)

Home = Annotated[
    str | None,
    typer.Option("--home", help="Folder or URI of all state. Default: MMFS_HOME, else ./mmfs-home."),
]
AsOf = Annotated[str | None, typer.Option("--as-of", help="The run's time, ISO 8601 with offset. Default: now.")]
Drop = Annotated[str, typer.Argument(help="Folder or URI with the source tables (docs/sources.md).")]
History = Annotated[
    bool,
    typer.Option("--history", help="The drop is an import of history: its rows count as known at their own time."),
]
DEFAULT_SERVICE = "recommendation"
Service = Annotated[
    str, typer.Option("--service", "-s", help="Feature service; a bare name means the default release.")
]


@app.command("sample-shop")
def sample_shop(
    out: Annotated[Path, typer.Argument(help="Folder to write; must not exist or be empty.")],
    users: Annotated[int, typer.Option(help="Users of the shop.")] = 300,
    days: Annotated[int, typer.Option(help="Days of behaviour.")] = 60,
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes.")] = 7,
    mix: Annotated[str | None, typer.Option(help="Which kinds of shoppers prevail: city or family.")] = None,
    truth: Annotated[
        Path | None, typer.Option(help="Folder for what is true of the shop, for `mmfs evaluate`. Default: OUT-truth.")
    ] = None,
) -> None:
    """Write a drop of a drawn shop to try things on, and beside it what is true of it.

    [dim]mmfs sample-shop shop --users 100 --days 30 --seed 1[/dim]
    [dim]mmfs sample-shop large --users 20000 --days 180 --mix family[/dim]
    """
    from pipelines.sample_shop import write_sample_shop

    with messages.status("starting") as status:
        summary = write_sample_shop(
            out, truth=truth, users=users, days=days, seed=seed, mix=mix, on_progress=status.update
        )
    console.print(str(summary), soft_wrap=True, highlight=False)


@app.command()
def run(drop: Drop, home: Home = None, as_of: AsOf = None, history: History = False) -> None:
    """Take a drop in and bring everything up to date: ingest, encode, features, apply, materialise.

    [dim]mmfs run shop --home state --as-of 2026-06-30T00:00:00Z[/dim]
    """
    _steps(home, as_of, drop=drop, history=history)


@app.command()
def ingest(drop: Drop, home: Home = None, as_of: AsOf = None, history: History = False) -> None:
    """Drop → bronze, silver, quarantine."""
    _steps(home, as_of, "ingest", drop=drop, history=history)


@app.command()
def encode(home: Home = None, as_of: AsOf = None) -> None:
    """Turn pictures, videos and texts that have no vector yet into one."""
    _steps(home, as_of, "encode")


@app.command()
def features(
    user_id: Annotated[str, typer.Argument(help="The shop's user id, or a device's with --device.")],
    service: Service = DEFAULT_SERVICE,
    device: Annotated[bool, typer.Option("--device", help="The id is an anonymous device's.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable, vectors whole.")] = False,
    home: Home = None,
) -> None:
    """Read one user's features online, each with its time and status.

    [dim]mmfs features u-17 --service marketing --json[/dim]
    """
    from pipelines.serving.online import read_features
    from pipelines.serving.render import render_features

    found = read_features(_settings(home), user_id, service, kind="device" if device else "user")
    if as_json:
        sys.stdout.write(found.model_dump_json() + "\n")
    else:
        console.print(render_features(found))


@app.command("build-features")
def build_features(home: Home = None, as_of: AsOf = None) -> None:
    """Tiles, windows and interests → user and product feature histories."""
    _steps(home, as_of, "features")


@app.command()
def apply(home: Home = None, as_of: AsOf = None) -> None:
    """Register entities, views and services of the live releases with Feast."""
    _steps(home, as_of, "apply")


@app.command()
def materialise(home: Home = None, as_of: AsOf = None) -> None:
    """Load what is new in the feature histories into the online store."""
    _steps(home, as_of, "materialise")


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 6566,
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = 1,
    tls_certificate: Annotated[Path | None, typer.Option(help="PEM file; with it HTTPS is spoken.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="PEM file of the certificate's key.")] = None,
    no_authentication: Annotated[
        bool, typer.Option("--no-authentication", help="Anybody may ask. Otherwise MMFS_API_KEYS says who may.")
    ] = False,
    home: Home = None,
) -> None:
    """Answer questions for features over HTTP, as Feast's server does (docs/online.md).

    [dim]MMFS_API_KEYS=shop:a-long-secret-key mmfs serve --home state --workers 2[/dim]
    """
    from pipelines.server.run import Listening, serve_forever

    settings = load_settings(home=home, authenticate=False if no_authentication else None)
    serve_forever(settings, Listening(host, port, workers, tls_certificate, tls_key))


@app.command("training-set")
def training_set(
    entities: Annotated[Path, typer.Argument(help="Parquet or CSV with user_id, event_timestamp and labels.")],
    out: Annotated[Path, typer.Argument(help="Parquet or CSV to write; a manifest is written beside it.")],
    service: Annotated[
        str | None,
        typer.Option(
            "--service",
            "-s",
            help=f"Feature service; a bare name means the default release. Default: {DEFAULT_SERVICE}.",
        ),
    ] = None,
    replay: Annotated[
        Path | None,
        typer.Option(help="Manifest of an earlier set: make that again, bit for bit."),
    ] = None,
    check_leakage: Annotated[
        bool, typer.Option("--check-leakage", help="Derive a sample again by brute force; differences end in code 1.")
    ] = False,
    home: Home = None,
    as_of: AsOf = None,
) -> None:
    """Pull features as they were known at each row's moment.

    [dim]mmfs training-set labels.parquet train.parquet --service risk --check-leakage[/dim]
    [dim]mmfs training-set labels.parquet again.parquet --replay train.parquet.manifest.json[/dim]
    """
    from pipelines.run import new_run, table_store
    from pipelines.training.entities import require_entities

    if replay and service:
        raise SettingsError("a replay takes the service of its manifest; leave --service out")
    require_entities(entities)
    settings = _settings(home)
    with table_store(settings, "mmfs training-set") as store:
        from pipelines.training.leakage import check_leakage as derive_again
        from pipelines.training.leakage import require_parquet
        from pipelines.training.training_set import replay as make_again
        from pipelines.training.training_set import training_set as pull

        if check_leakage:
            require_parquet(out)
        run = new_run(settings, _instant(as_of))
        if replay:
            made = make_again(store, run, entities, replay, out)
        else:
            made = pull(store, run, entities, service or DEFAULT_SERVICE, out)
        console.print(str(made), soft_wrap=True, highlight=False)
        if check_leakage:
            report = derive_again(store, made)
            console.print(str(report), soft_wrap=True, highlight=False)
            if report.differences:
                raise typer.Exit(1)


@app.command()
def evaluate(
    truth: Annotated[Path, typer.Argument(help="Folder with a sample shop's truth (OUT-truth of sample-shop).")],
    out: Annotated[Path, typer.Option(help="HTML page to write; its figures as JSON beside it.")] = Path(
        "evaluation.html"
    ),
    release: Annotated[str | None, typer.Option(help="A live release. Default: the default one.")] = None,
    home: Home = None,
    as_of: Annotated[
        str | None, typer.Option("--as-of", help="Moment, ISO 8601. Default: the end of the shop's time.")
    ] = None,
) -> None:
    """Say how much of a sample shop's planted truth the published features hold.

    [dim]mmfs evaluate shop-truth --home state --out evaluation.html[/dim]
    """
    from pipelines.evaluation.publish import publish_evaluation
    from pipelines.evaluation.render import render_evaluation

    with messages.status("measuring"):
        evaluation, run_id = publish_evaluation(_settings(home), truth, out, release, _instant(as_of))
    console.print(render_evaluation(evaluation))
    console.print(f"{out}; MLflow run {run_id}", soft_wrap=True, highlight=False)


@app.command()
def demo(
    users: Annotated[int, typer.Option(help="Users of the drawn shop.")] = 150,
    days: Annotated[int, typer.Option(help="Days of behaviour.")] = 45,
) -> None:
    """The whole way of the data on a drawn shop, in a folder of the cache that is made anew each time."""
    from pipelines.demo import show_demo

    show_demo(console, users=users, days=days)


def _settings(home: str | None) -> Settings:
    return load_settings(home=home)


def _instant(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise SettingsError(f"--as-of {text!r} is not an ISO 8601 instant such as 2026-06-30T00:00:00Z") from error
    if moment.tzinfo is None:
        raise SettingsError(f"--as-of {text!r} has no offset; write for example {text}Z for UTC")
    return moment.astimezone(UTC)


def _steps(home: str | None, as_of: str | None, *steps: str, drop: str | None = None, history: bool = False) -> None:
    moment, settings = _instant(as_of), _settings(home)
    from pipelines.governance.report import render_report
    from pipelines.run import STEPS, new_run, run_steps

    current = new_run(settings, moment)
    with messages.status("starting") as status:
        reports = run_steps(
            current, drop, steps=steps or STEPS, history=history, announce=lambda step: status.update(step)
        )
    console.print(render_report(current, reports))


def main() -> None:
    """Run the command. A mistake of the caller's ends in one line on stderr and exit code 1."""
    try:
        app()
    except Exception as error:
        message = _one_line(error)
        if message is None:
            raise
        messages.print(f"[bold red]mmfs:[/bold red] {escape(message)}", soft_wrap=True, highlight=False)
        sys.exit(1)


def _one_line(error: Exception) -> str | None:
    """What to tell the caller, or None where the fault is ours and the traceback is what helps."""
    from encoders.errors import EncoderError
    from pipelines.sample_shop import SampleShopError

    if "No space left on device" in str(error):
        return str(
            StorageFullError("no space is left where the tables or the cache live; free some and repeat the command")
        )
    if isinstance(error, (PipelineError, EncoderError, SampleShopError)):
        return " ".join(str(error).split())
    return None


if __name__ == "__main__":
    main()
