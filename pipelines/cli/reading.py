"""Features: online, over HTTP, and point-in-time."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.app import DEFAULT_SERVICE, AsOf, Home, Service, app, console, instant
from pipelines.errors import SettingsError
from pipelines.settings import load_settings

# Of `mmfs skew`: not 1, which is an error's.
_SKEWED = 3


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

    found = read_features(load_settings(home=home), user_id, service, kind="device" if device else "user")
    if as_json:
        sys.stdout.write(found.model_dump_json() + "\n")
    else:
        console.print(render_features(found))


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
    settings = load_settings(home=home)
    with table_store(settings, "mmfs training-set") as store:
        from pipelines.training.leakage import check_leakage as derive_again
        from pipelines.training.leakage import require_parquet
        from pipelines.training.training_set import replay as make_again
        from pipelines.training.training_set import training_set as pull

        if check_leakage:
            require_parquet(out)
        run = new_run(settings, instant(as_of))
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
def skew(
    rows: Annotated[int, typer.Option(min=1, help="Most logged ids to compare.")] = 10_000,
    since: Annotated[str | None, typer.Option(help="Only answers from this time on, ISO 8601 with offset.")] = None,
    metrics: Annotated[
        Path | None, typer.Option(help="Write figures for Prometheus's textfile collector here.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable, with all examples.")] = False,
    home: Home = None,
) -> None:
    """Compare logged answers with the offline features of their moment and release.

    Differences that nothing explains end in code 3.

    [dim]mmfs skew --home state --rows 100000 --metrics /var/lib/node_exporter/mmfs_skew.prom[/dim]
    """
    from pipelines.run import new_run, table_store

    settings, earliest = load_settings(home=home), instant(since, "--since")
    with table_store(settings, "mmfs skew") as store:
        from pipelines.answers.skew import check_skew
        from pipelines.governance.report import store_report
        from pipelines.governance.runs import timed_step

        run = new_run(settings)
        with timed_step("skew") as step:
            report = check_skew(store, run, rows, earliest)
            report.figures(step)
        store_report(store, run, [step])
        if metrics:
            report.write_metrics(metrics)
        if as_json:
            sys.stdout.write(json.dumps(report.to_json()) + "\n")
        else:
            console.print(report.render())
        if report.unexplained:
            raise typer.Exit(_SKEWED)
