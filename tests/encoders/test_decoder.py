"""The process that decodes: pictures as large as a model needs, and what a crash or a hang there costs."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image

import encoders.decoder
from encoders.decoder import decode_picture
from encoders.errors import ContentError
from encoders.image import decode_image
from tests.encoders.conftest import encoded


@pytest.fixture
def large() -> Image.Image:
    """1200 x 900, of smooth colours."""
    y, x = np.mgrid[0:900, 0:1200]
    return Image.fromarray(np.stack([x * 255 / 1200, y * 255 / 900, (x + y) % 256], axis=-1).astype(np.uint8))


@pytest.fixture(autouse=True)
def _decoder_of_its_own() -> Iterator[None]:
    """What is done to a test's decoder is not met by the next test."""
    yield
    encoders.decoder._decoder().stop()


def decoder_pid() -> int:
    process = encoders.decoder._decoder()._process
    assert process is not None
    return process.pid


def test_the_pixels_are_those_of_decoding_here(photo: Image.Image) -> None:
    data = encoded(photo, "PNG")
    assert decode_picture(data).tobytes() == decode_image(data).tobytes()


@pytest.mark.parametrize("image_format", ["JPEG", "PNG"])
def test_a_large_picture_comes_reduced(large: Image.Image, image_format: str) -> None:
    found = decode_picture(encoded(large, image_format), 112)
    # By whole factors, and neither side below 224.
    assert found.size == (300, 225)
    difference = np.asarray(found, float) - np.asarray(large.resize((300, 225)), float)
    assert np.abs(difference[:, :, :2]).mean() < 3


def test_a_long_strip_does_not_stay_long() -> None:
    strip = Image.new("RGB", (20_000, 40), (200, 10, 10))
    assert decode_picture(encoded(strip, "PNG"), 112).size[0] <= 16 * 112 * 2


@pytest.mark.parametrize(
    ("data", "reason"), [(b"", "empty"), (b"hello", "not_an_image"), (b"\xff\xd8\xff\xe0 cut", "truncated")]
)
def test_reasons_come_across(data: bytes, reason: str) -> None:
    assert reason_of(data) == reason


def test_a_picture_that_needs_more_memory_than_allowed_costs_itself(photo: Image.Image) -> None:
    import resource

    decode_picture(encoded(photo, "PNG"))
    resource.prlimit(decoder_pid(), resource.RLIMIT_AS, (256 * 1024**2, 4 * 1024**3))
    assert reason_of(encoded(Image.new("RGB", (9000, 7000)), "PNG")) == "too_large"
    assert decode_picture(encoded(photo, "PNG")).size == photo.size


@pytest.mark.parametrize(
    ("how", "reason"), [(signal.SIGKILL, "decoder_crashed"), (signal.SIGSEGV, "decoder_crashed"), (None, "timeout")]
)
def test_a_decoder_that_dies_or_hangs_costs_one_picture(photo: Image.Image, how: int | None, reason: str) -> None:
    # Larger than a pipe holds: the decoder is in the middle of it.
    data = encoded(Image.fromarray(np.random.default_rng(0).integers(0, 255, (600, 600, 3), np.uint8)), "PNG")
    decode_picture(data)
    first = decoder_pid()
    os.kill(first, signal.SIGSTOP)
    if how is not None:
        threading.Timer(0.2, os.kill, (first, how)).start()
        threading.Timer(0.3, _go_on, (first,)).start()
    began = time.monotonic()
    assert reason_of(data, timeout_seconds=10 if how else 0.5) == reason
    assert time.monotonic() - began < 9
    assert decode_picture(encoded(photo, "PNG")).size == photo.size
    assert decoder_pid() != first


def _go_on(pid: int) -> None:
    """A stopped process takes signals other than SIGKILL when it goes on."""
    try:
        os.kill(pid, signal.SIGCONT)
    except ProcessLookupError:
        return


def reason_of(data: bytes, **options: float) -> str:
    with pytest.raises(ContentError) as caught:
        decode_picture(data, **options)  # type: ignore[arg-type]
    return caught.value.reason
