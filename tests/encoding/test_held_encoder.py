"""A worker's encoder is kept while tasks follow each other and let go when none does."""

from __future__ import annotations

import time

from encoders.bundled import default_cache_dir
from encoders.spec import EncoderSpec, resolve
from pipelines.encoding.held_encoder import HeldEncoder

CACHE = default_cache_dir()


def _use(held: HeldEncoder, spec: EncoderSpec) -> int:
    """The identity of the encoder that a task gets."""
    with held.in_use(spec, threads=1, cache_dir=CACHE) as encoder:
        return id(encoder())


def _wait_until_idle(held: HeldEncoder) -> None:
    deadline = time.monotonic() + 30
    while held.is_loaded and time.monotonic() < deadline:
        time.sleep(0.02)


def test_it_is_kept_for_the_next_task_and_let_go_when_none_comes() -> None:
    spec = resolve("bundled:compact-clip")
    held = HeldEncoder(idle_seconds=1)
    assert _use(held, spec) == _use(held, spec)
    assert held.is_loaded
    _wait_until_idle(held)
    assert not held.is_loaded


def test_a_task_that_takes_longer_than_the_idle_time_keeps_it() -> None:
    spec = resolve("bundled:compact-clip")
    held = HeldEncoder(idle_seconds=0.05)
    with held.in_use(spec, threads=1, cache_dir=CACHE) as encoder:
        first = encoder()
        time.sleep(0.3)
        assert encoder() is first
    _wait_until_idle(held)
    assert not held.is_loaded


def test_a_task_without_anything_to_encode_loads_nothing() -> None:
    held = HeldEncoder(idle_seconds=60)
    with held.in_use(resolve("bundled:compact-clip"), threads=1, cache_dir=CACHE):
        assert not held.is_loaded
    assert not held.is_loaded
