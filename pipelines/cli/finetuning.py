"""Fine-tuning an encoder on a home's own pairs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from pipelines.cli.app import console, messages
from pipelines.cli.releases import encoders
from pipelines.settings import load_settings

if TYPE_CHECKING:
    from encoders.finetuning.loop import Options, Progress


@encoders.command()
def finetune(
    encoder: Annotated[
        str | None, typer.Argument(help="The encoder to begin with. Default: the default release's.")
    ] = None,
    on: Annotated[str | None, typer.Option("--on", "--home", help="Home to learn from. Default: MMFS_HOME.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the new encoder's files, seen by all workers. Default: in the home.")
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Steps at most.")] = None,
    seed: Annotated[int, typer.Option(help="The same seed and data give the same encoder.")] = 1,
) -> None:
    """Fine-tune a picture encoder on the shop's own pairs; the result is a new version, which nothing serves yet.

    Killed, the same command goes on from its last checkpoint.

    [dim]mmfs encoders finetune --on state[/dim]
    [dim]mmfs encoders finetune open-clip:/models/clip --on state --steps 1000[/dim]
    """
    from encoders.finetuning.loop import Options
    from pipelines.finetuning.finetune import Watch
    from pipelines.finetuning.publish import publish_finetuned

    options = Options(seed=seed) if steps is None else Options(seed=seed, steps=steps)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Bar(*columns, TimeElapsedColumn(), console=messages, transient=True) as bar:
        task = bar.add_task("starting", total=None)

        def stage(said: str) -> None:
            bar.update(task, description=said, total=None, completed=0)

        def training(progress: Progress, options: Options) -> None:
            said = f"training, NDCG@10 {progress.best:.4f} at step {progress.best_step}"
            bar.update(task, description=said, total=options.steps, completed=progress.step)

        found, recorded = publish_finetuned(load_settings(home=on), encoder, options, out, Watch(stage, training))
    for name, change in found.judged.changes.items():
        console.print(f"{name}: {change}", soft_wrap=True, highlight=False)
    console.print(recorded.sentence, soft_wrap=True, highlight=False)
    if recorded.encoder is not None:
        console.print(f"{recorded.encoder.uri}; MLflow run {recorded.run_id}", soft_wrap=True, highlight=False)
        console.print(f"next: mmfs releases promote {recorded.encoder.uri}", soft_wrap=True, highlight=False)
    else:
        console.print(f"MLflow run {recorded.run_id}", soft_wrap=True, highlight=False)
