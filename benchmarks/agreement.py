"""Do shops of two seeds and two mixes of personas tell the same of the features? Bar: the same conclusions.

Each shop is drawn, run, evaluated against its truth and learned from by every consumer. A conclusion is a difference or
gain whose interval leaves out 0: one shop's must not contradict another's. Of every other figure the four intervals
should overlap. `MMFS_BENCH_SHOP` gives the size as USERSxDAYS (default: 1500x90), `MMFS_BENCH_FOLDER` a folder in which
shops, homes and pages stay; a page that is there is not made again.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from itertools import combinations, product
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from benchmarks.pipeline_size import AS_OF, MMFS, stepped_run
from pipelines.consumers.publish import CONSUMERS
from pipelines.sample_shop.personas import MIXES

SEEDS = (7, 8)
# Nothing is asked online here.
STEPS = ("ingest", "encode", "build-features", "apply")
_COMPARISONS = ("difference", "relative gain")


class Interval(NamedTuple):
    """A figure's 95% interval in one shop."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"

    @property
    def sign(self) -> int:
        """1 or -1 where the interval leaves out 0, else 0."""
        return int(self.low > 0) - int(self.high < 0)


Key = tuple[str, str, str]  # measure, part, quantity


def is_comparison(quantity: str) -> bool:
    return any(word in quantity for word in _COMPARISONS)


def disagreement(quantity: str, intervals: Sequence[Interval]) -> str:
    """Empty where the shops agree; `contradicts` of opposite conclusions, `apart` where two intervals do not meet."""
    if is_comparison(quantity):
        return "contradicts" if {1, -1} <= {interval.sign for interval in intervals} else ""
    pairs = combinations(intervals, 2)
    return "apart" if any(a.low > b.high or b.low > a.high for a, b in pairs) else ""


def figures(pages: Path) -> dict[Key, Interval]:
    """Every figure of a shop's pages."""
    found: dict[Key, Interval] = {}
    for page in sorted(pages.glob("*.json")):
        for measure, outcome in json.loads(page.read_text(encoding="utf-8"))["measures"].items():
            for figure in outcome.get("figures", ()):
                key = (measure, figure["part"], figure["quantity"])
                found[key] = Interval(figure["value"], figure["low"], figure["high"])
    return found


def make_pages(folder: Path, users: int, days: int, seed: int, mix: str, console: Console) -> Path:
    """Draw and run a shop, measure it against its truth and learn from it; the folder of the pages."""
    pages, home = folder / "pages", ["--home", str(folder / "home")]
    pages.mkdir(parents=True, exist_ok=True)
    if not (folder / "home").exists():
        for step, took in stepped_run(folder, users, days, ("--seed", str(seed), "--mix", mix), STEPS):
            console.print(f"{folder.name}: {step} {took.seconds:.0f} s", style="dim")
    commands = {"evaluation": ["evaluate", str(folder / "shop-truth")]}
    commands |= {name: ["consumer", name, "--as-of", AS_OF] for name in CONSUMERS}
    for name, command in commands.items():
        if not (pages / f"{name}.json").exists():
            out = ["--out", str(pages / f"{name}.html")]
            subprocess.run([*MMFS, *command, *home, *out], check=True, stdout=subprocess.DEVNULL)
    return pages


def table_of(shops: Mapping[str, Mapping[Key, Interval]]) -> Table:
    """Conclusions, and all figures on which shops disagree."""
    table = Table("measure", "part", "quantity", *shops, "disagree")
    everywhere = [key for key in next(iter(shops.values())) if all(key in found for found in shops.values())]
    for key in everywhere:
        intervals = [found[key] for found in shops.values()]
        said = disagreement(key[2], intervals)
        if said or is_comparison(key[2]):
            table.add_row(*key, *map(str, intervals), said)
    table.caption = f"{len(everywhere)} figures that all shops have; not shown: levels whose intervals all overlap"
    return table


def main() -> None:
    """Measure and print."""
    os.environ.setdefault("MMFS_CONSENT_DEFAULT__PERSONALISATION", "allow")
    users, days = map(int, os.environ.get("MMFS_BENCH_SHOP", "1500x90").split("x"))
    console = Console(width=None if sys.stdout.isatty() else 200)
    with tempfile.TemporaryDirectory() as passing:
        kept = Path(os.environ.get("MMFS_BENCH_FOLDER", passing))
        shops = {
            f"{mix} {seed}": figures(make_pages(kept / f"{mix}-{seed}", users, days, seed, mix, console))
            for seed, mix in product(SEEDS, MIXES)
        }
    console.print(table_of(shops))


if __name__ == "__main__":
    main()
