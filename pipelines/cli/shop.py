"""The drawn shop: to try things on, and to measure by."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.app import AsOf, Home, app, console, instant, messages
from pipelines.settings import load_settings


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
        evaluation, run_id = publish_evaluation(load_settings(home=home), truth, out, release, instant(as_of))
    console.print(render_evaluation(evaluation))
    console.print(f"{out}; MLflow run {run_id}", soft_wrap=True, highlight=False)


@app.command()
def consumer(
    name: Annotated[str, typer.Argument(help="next-purchase, churn, value or ad-click.")],
    out: Annotated[Path | None, typer.Option(help="HTML page to write; its figures as JSON beside it.")] = None,
    release: Annotated[str | None, typer.Option(help="A live release. Default: the default one.")] = None,
    horizon_days: Annotated[
        int | None,
        typer.Option(min=1, help="Days of labels after a cut. Default: 14; of churn and value 30."),
    ] = None,
    step_days: Annotated[int | None, typer.Option(min=1, help="Days between cuts. Default: 7.")] = None,
    home: Home = None,
    as_of: AsOf = None,
) -> None:
    """Train something on the features, point-in-time, and say how much they are worth to it.

    [dim]mmfs consumer next-purchase --home state --out next-purchase.html[/dim]
    [dim]mmfs consumer churn --home state --step-days 14[/dim]
    """
    from pipelines.consumers.publish import publish_consumer
    from pipelines.evaluation.render import render_evaluation

    page = out or Path(f"{name}.html")
    with messages.status("learning"):
        learned = publish_consumer(
            load_settings(home=home),
            name,
            page,
            release=release,
            as_of=instant(as_of),
            horizon_days=horizon_days,
            step_days=step_days,
        )
    for fact, value in learned.evaluation.facts.items():
        console.print(f"{fact}: {value}", soft_wrap=True, highlight=False, markup=False)
    console.print(render_evaluation(learned.evaluation))
    console.print(f"{page}; {learned}", soft_wrap=True, highlight=False)


@app.command()
def demo(
    users: Annotated[int, typer.Option(help="Users of the drawn shop.")] = 250,
    days: Annotated[int, typer.Option(help="Days of behaviour.")] = 45,
) -> None:
    """The whole way of the data on a drawn shop, in a folder of the cache that is made anew each time."""
    from pipelines.demo import show_demo

    show_demo(console, users=users, days=days)
