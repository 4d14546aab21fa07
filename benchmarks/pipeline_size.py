"""The main job step by step on shops of several sizes: seconds, CPU seconds and peak memory, against the smallest shop.

`MMFS_BENCH_SHOPS` gives their sizes as USERSxDAYS (default: 400x90 and 4000x120), `MMFS_BENCH_FOLDER` a folder in which
shops and homes stay; a shop that is there already is not drawn again. Each step is a command of its own, so that its
seconds include the start of a Spark session. Bar: no step grows faster than the events.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow.dataset as ds
from rich.console import Console
from rich.table import Table

from benchmarks._process_tree import GIB, Measured, measure

SHOPS = "400x90,4000x120"
AS_OF = "2026-07-01T00:00:00Z"  # the end of a sample shop's time
STEPS = ("ingest", "encode", "build-features", "apply", "materialise")
MMFS = (sys.executable, "-m", "pipelines")


@dataclass(frozen=True)
class SteppedRun:
    """What a first run of a shop took, by step."""

    users: int
    days: int
    events: int
    steps: dict[str, Measured]


def stepped_run(
    folder: Path, users: int, days: int, options: Sequence[str] = (), steps: Sequence[str] = STEPS
) -> Iterator[tuple[str, Measured]]:
    """Draw a shop in a folder unless it is there, and run steps into a home beside it; what each took."""
    shop, home = folder / "shop", folder / "home"
    if not shop.exists():
        yield "draw", measure([*MMFS, "sample-shop", str(shop), "--users", str(users), "--days", str(days), *options])
    for step in steps:
        drop = [str(shop)] if step == "ingest" else []
        yield step, measure([*MMFS, step, *drop, "--home", str(home), "--as-of", AS_OF])


def events_of(shop: Path) -> int:
    """Rows of a drop's events."""
    return int(ds.dataset(shop / "events").count_rows())


def table_of(runs: Sequence[SteppedRun]) -> Table:
    """A line a step and shop; `per event` is the step's CPU seconds an event against the smallest shop's."""
    table = Table("shop", "events", "step", "seconds", "CPU seconds", "peak GiB", "of it", "CPU per event, ratio")
    least = min(runs, key=lambda run: run.events)
    for run in runs:
        for step, took in run.steps.items():
            usual = least.steps.get(step)
            ratio = "" if usual is None else f"{took.cpu_seconds / run.events / (usual.cpu_seconds / least.events):.2f}"
            parts = ", ".join(f"{kind} {size / GIB:.1f}" for kind, size in sorted(took.at_peak.items()))
            table.add_row(
                f"{run.users:,} × {run.days}",
                f"{run.events:,}",
                step,
                f"{took.seconds:.0f}",
                f"{took.cpu_seconds:.0f}",
                f"{took.peak_bytes / GIB:.1f}",
                parts,
                ratio,
            )
    return table


def main() -> None:
    """Measure and print."""
    os.environ.setdefault("MMFS_CONSENT_DEFAULT__PERSONALISATION", "allow")
    sizes = [size.split("x") for size in os.environ.get("MMFS_BENCH_SHOPS", SHOPS).split(",")]
    console, runs = Console(), []
    with tempfile.TemporaryDirectory() as passing:
        kept = Path(os.environ.get("MMFS_BENCH_FOLDER", passing))
        for users, days in sizes:
            folder = kept / f"{users}x{days}"
            folder.mkdir(parents=True, exist_ok=True)
            steps: dict[str, Measured] = {}
            for step, took in stepped_run(folder, int(users), int(days)):
                steps[step] = took
                console.print(f"{users} × {days}: {step} {took.seconds:.0f} s", style="dim")
            runs.append(SteppedRun(int(users), int(days), events_of(folder / "shop"), steps))
    console.print(table_of(runs))


if __name__ == "__main__":
    main()
