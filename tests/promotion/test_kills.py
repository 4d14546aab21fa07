"""The command itself, killed for good at twenty moments while others read: every answer is wholly of one release."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pipelines.releases.journal import read_journal
from pipelines.releases.pin import read_pin
from pipelines.settings import PROJECT_ROOT
from tests.promotion.promoted_home import PromotedHome, new_home

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

POINTS = 20
_NAME = re.compile(r'"release":"r\d+"')


def started(home: PromotedHome, *arguments: str) -> subprocess.Popen[bytes]:
    """`mmfs releases promote` in a process group of its own."""
    environment = os.environ | {"PYTHONPATH": str(PROJECT_ROOT), "MMFS_CONSENT_DEFAULT__PERSONALISATION": "allow"}
    command = [sys.executable, "-m", "pipelines", "releases", "promote", "--home", home.settings.home, *arguments]
    quiet = subprocess.DEVNULL
    return subprocess.Popen(command, env=environment, start_new_session=True, stdout=quiet, stderr=quiet)


def everything(home: PromotedHome) -> frozenset[tuple[str, str]]:
    """All answers; names of releases are left out, for a name may be given in vain."""
    return frozenset((user, _NAME.sub("", answer)) for user, answer in home.answers().items())


def copied(source: Path, target: Path) -> None:
    """Make `target` what `source` is. By another process: one that opens and closes a file of SQLite's loses the locks
    that its connections hold on it."""
    subprocess.run(["rm", "-rf", target], check=True)
    subprocess.run(["cp", "-a", source, target], check=True)


@contextmanager
def read_meanwhile(home: PromotedHome) -> Iterator[set[frozenset[tuple[str, str]]]]:
    """What readers saw, as a set of all users' answers, filled while the context lasts."""
    seen: set[frozenset[tuple[str, str]]] = set()
    done = threading.Event()

    def read() -> None:
        while not done.wait(0.2):
            seen.add(everything(home))

    reader = threading.Thread(target=read)
    reader.start()
    try:
        yield seen
    finally:
        done.set()
        reader.join()


@pytest.mark.soak
@pytest.mark.timeout(4 * 3600)
def test_killed_at_any_point_it_is_finished_by_the_next_call(spark: SparkSession, tmp_path: Path) -> None:
    home = new_home(spark, tmp_path)
    forced = [home.encoder("tuned", noise=2), "--force", "--reason", "a test"]
    folder, backup = Path(home.settings.home), tmp_path / "backup"
    copied(folder, backup)
    before, began = everything(home), time.monotonic()
    assert started(home, *forced).wait() == 0
    lasts, after = time.monotonic() - began, everything(home)
    assert after != before
    draws = random.Random(20)
    for point in range(POINTS):
        copied(backup, folder)
        moment = draws.uniform(0, lasts)
        with read_meanwhile(home) as seen:
            promotion = started(home, *forced)
            time.sleep(moment)
            os.killpg(promotion.pid, signal.SIGKILL)
            promotion.wait()
            pending = read_journal(home.settings) is not None
            if pending or read_pin(home.settings).default == "r1":
                assert started(home, *([] if pending else forced)).wait() == 0, f"killed at {moment:.1f} s ({point})"
        assert seen <= {before, after}, f"killed at {moment:.1f} s ({point})"
        assert everything(home) == after, f"killed at {moment:.1f} s ({point})"
        assert read_journal(home.settings) is None
