"""The main job on the sample shop: the same drop again costs a fraction; peak memory of all processes.

Bars: a second run ≤ 40% of the first one's time with no encoder call; demo ≤ 8 minutes and ≤ 8 GiB on 2 cores.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks._process_tree import GIB, Measured, measure


def _parts(measured: Measured) -> str:
    return ", ".join(f"{kind} {size / GIB:.1f}" for kind, size in sorted(measured.at_peak.items()))


def main() -> None:
    """Measure and print."""
    mmfs = [sys.executable, "-m", "pipelines"]
    with tempfile.TemporaryDirectory() as folder:
        shop, home = str(Path(folder) / "shop"), str(Path(folder) / "home")
        subprocess.run([*mmfs, "sample-shop", shop], check=True, stdout=subprocess.DEVNULL)
        run = [*mmfs, "run", shop, "--home", home, "--as-of", "2026-07-01T00:00:00Z"]
        first, again = measure(run), measure(run)
    demo = measure([*mmfs, "demo"])
    table = Table(
        "command", "seconds", "peak GiB", "of it", "ratio to first run", title="main job, 300 users × 60 days"
    )
    for name, measured in (("mmfs run, first", first), ("mmfs run, again", again), ("mmfs demo", demo)):
        ratio = f"{measured.seconds / first.seconds:.2f}"
        table.add_row(name, f"{measured.seconds:.0f}", f"{measured.peak_bytes / GIB:.1f}", _parts(measured), ratio)
    Console().print(table)


if __name__ == "__main__":
    main()
