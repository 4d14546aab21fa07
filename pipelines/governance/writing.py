"""One writer at a time in a local home: Delta's log of a local folder is safe within one process only."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager

from pipelines.settings import Settings

_LOCK = "writing.lock"


@contextmanager
def only_writer(settings: Settings) -> Iterator[None]:
    """Wait until no other process writes to the home, and keep others waiting meanwhile.

    Object stores have log stores for several writers: a remote home is not locked. Nobody else writes to one that
    does not exist yet.
    """
    folder = settings.local_home
    if folder is None or not folder.is_dir():
        yield
        return
    with (folder / _LOCK).open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
