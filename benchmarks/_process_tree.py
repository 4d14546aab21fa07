"""Time and peak memory of a command with all the processes it starts."""

from __future__ import annotations

import subprocess
import threading
import time
from dataclasses import dataclass

import psutil

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
