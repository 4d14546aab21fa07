"""The main job and its steps."""

from __future__ import annotations

from pipelines.cli.app import AsOf, Drop, History, Home, app, console, instant, messages
from pipelines.settings import load_settings


@app.command()
def run(drop: Drop, home: Home = None, as_of: AsOf = None, history: History = False) -> None:
    """Take a drop in and bring everything up to date: ingest, encode, features, apply, materialise.

    [dim]mmfs run shop --home state --as-of 2026-07-01T00:00:00Z[/dim]
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


def _steps(home: str | None, as_of: str | None, *steps: str, drop: str | None = None, history: bool = False) -> None:
    moment, settings = instant(as_of), load_settings(home=home)
    from pipelines.governance.report import render_report
    from pipelines.run import STEPS, new_run, run_steps

    current = new_run(settings, moment)
    with messages.status("starting") as status:
        reports = run_steps(
            current, drop, steps=steps or STEPS, history=history, announce=lambda step: status.update(step)
        )
    console.print(render_report(current, reports))
