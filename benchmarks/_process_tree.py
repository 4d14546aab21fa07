"""Time, CPU time and peak memory of a command with all the processes it starts."""

from __future__ import annotations

import subprocess
import threading
import time
from contextlib import suppress
from dataclasses import dataclass

import psutil

GIB = 2**30


@dataclass(frozen=True)
class Measured:
    """Wall-clock seconds; at the moment when the process tree was largest, each kind of process's bytes; CPU seconds.

    Bytes are proportional set size: what processes share counts once. CPU seconds are those of processes that were
    met alive, twice a second: of each up to the last time it was met.
    """

    seconds: float
    at_peak: dict[str, int]
    cpu_seconds: float

    @property
    def peak_bytes(self) -> int:
        return sum(self.at_peak.values())


def measure(command: list[str]) -> Measured:
    """Run a command to its end. Raises CalledProcessError where it fails."""
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    at_peak: dict[str, int] = {}
    cpu: dict[int, float] = {}
    done = threading.Event()

    def watch() -> None:
        nonlocal at_peak
        while not done.wait(0.5):
            tree = _tree(process.pid)
            at_peak = max(at_peak, _tree_bytes(tree), key=lambda found: sum(found.values()))
            cpu.update(_tree_cpu(tree))

    watcher = threading.Thread(target=watch)
    watcher.start()
    code = process.wait()
    done.set()
    watcher.join()
    if code:
        raise subprocess.CalledProcessError(code, command)
    return Measured(time.perf_counter() - started, at_peak, sum(cpu.values()))


def _tree(pid: int) -> list[psutil.Process]:
    """The process first, then its descendants."""
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _tree_cpu(tree: list[psutil.Process]) -> dict[int, float]:
    """CPU seconds by process id. Of children that have ended nothing: they were counted while they lived."""
    found: dict[int, float] = {}
    for process in tree:
        with suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            found[process.pid] = times.user + times.system
    return found


def _tree_bytes(tree: list[psutil.Process]) -> dict[str, int]:
    found: dict[str, int] = {}
    for process in tree:
        try:
            kind = _kind(process, tree[0])
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
