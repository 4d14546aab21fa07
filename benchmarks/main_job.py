"""The main job on the sample shop: the same drop again costs a fraction; peak memory of all processes.

Bars: a second run ≤ 40% of the first one's time with no encoder call; demo ≤ 8 minutes and ≤ 8 GiB on 2 cores.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table

GIB = 2**30


@dataclass(frozen=True)
class Measured:
    """Wall-clock seconds; at the moment when the process tree was largest, each kind of process's bytes.

    Bytes are proportional set size: what processes share counts once.
    """

    seconds: float
    at_peak: dict[str, int]

    @property
    def peak_bytes(self) -> int:
        return sum(self.at_peak.values())


def measure(command: list[str]) -> Measured:
    """Run a command to its end. Raises CalledProcessError where it fails."""
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    at_peak: dict[str, int] = {}
    done = threading.Event()

    def watch() -> None:
        nonlocal at_peak
        while not done.wait(0.5):
            at_peak = max(at_peak, _tree_bytes(process.pid), key=lambda found: sum(found.values()))

    watcher = threading.Thread(target=watch)
    watcher.start()
    code = process.wait()
    done.set()
    watcher.join()
    if code:
        raise subprocess.CalledProcessError(code, command)
    return Measured(time.perf_counter() - started, at_peak)


def _tree_bytes(pid: int) -> dict[str, int]:
    found: dict[str, int] = {}
    try:
        root = psutil.Process(pid)
        processes = [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return {}
    for process in processes:
        try:
            kind = _kind(process, root)
            found[kind] = found.get(kind, 0) + process.memory_full_info().pss
        except psutil.NoSuchProcess:
            continue
    return found


def _kind(process: psutil.Process, root: psutil.Process) -> str:
    if process == root:
        return "driver"
    if process.name() == "java":
        return "JVM"
    return "workers" if "pipelines.environment.python_workers" in process.cmdline() else "other"


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
