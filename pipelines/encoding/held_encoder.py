"""The encoder that a Python worker holds: loaded at first use, kept between tasks, let go when no task asks for it.

Spark keeps its Python workers for as long as the session lives. Without this their encoders, and the memory that
glibc keeps for activations (`WORKER_ENVIRONMENT` forbids it to give any back), would lie beside every later step.
"""

from __future__ import annotations

import ctypes
import gc
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from encoders.load import Encoder, load
from encoders.spec import EncoderSpec

# Longer than the pause between two tasks of a job, short beside the next step.
IDLE_SECONDS = 5.0


class HeldEncoder:
    """At most one loaded encoder, for one task at a time: a Spark worker runs its tasks one after the other."""

    def __init__(self, idle_seconds: float = IDLE_SECONDS) -> None:
        self._idle_seconds = idle_seconds
        self._lock = threading.Lock()
        self._loaded: tuple[EncoderSpec, Encoder] | None = None
        self._letting_go: threading.Timer | None = None

    @contextmanager
    def in_use(self, spec: EncoderSpec, threads: int, cache_dir: Path) -> Iterator[Callable[[], Encoder]]:
        """A function that gives the encoder, loading it when first called; afterwards the idle time begins."""

        def encoder() -> Encoder:
            with self._lock:
                if self._loaded is None or self._loaded[0] != spec:
                    self._loaded = None
                    self._loaded = (spec, load(spec, threads=threads, cache_dir=cache_dir))
                return self._loaded[1]

        self._stay()
        try:
            yield encoder
        finally:
            self._go_when_idle()

    @property
    def is_loaded(self) -> bool:
        """Whether an encoder is in memory."""
        return self._loaded is not None

    def _stay(self) -> None:
        with self._lock:
            if self._letting_go is not None:
                self._letting_go.cancel()
                self._letting_go = None

    def _go_when_idle(self) -> None:
        with self._lock:
            timer = threading.Timer(self._idle_seconds, lambda: self._let_go(timer))
            timer.daemon = True
            self._letting_go = timer
            timer.start()

    def _let_go(self, timer: threading.Timer) -> None:
        with self._lock:
            # A task may have begun after the timer had fired.
            if self._letting_go is timer:
                self._loaded = None
                self._letting_go = None
                gc.collect()
                return_free_memory()


_HELD = HeldEncoder()


def encoder_in_use(spec: EncoderSpec, threads: int, cache_dir: Path) -> AbstractContextManager[Callable[[], Encoder]]:
    """`HeldEncoder.in_use` of this process's one."""
    return _HELD.in_use(spec, threads, cache_dir)


def return_free_memory() -> None:
    """Give the operating system what malloc keeps for later; without effect where the C library cannot (not glibc)."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
