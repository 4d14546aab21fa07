"""Shared by the encoder tests: the built encoders and content made on the spot."""

from __future__ import annotations

import io
import os
from fractions import Fraction
from pathlib import Path

# Before any library reads them: nothing here may reach for the network.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_OFFLINE"] = "1"

import av
import numpy as np
import pytest
from PIL import Image

from encoders.bundled import default_cache_dir, prepare
from encoders.load import Encoder, load
from encoders.spec import resolve


@pytest.fixture(scope="session")
def cache_dir() -> Path:
    directory = default_cache_dir()
    prepare(directory)
    return directory


@pytest.fixture(scope="session")
def clip(cache_dir: Path) -> Encoder:
    return load(resolve("bundled:compact-clip"), threads=2, cache_dir=cache_dir)


@pytest.fixture(scope="session")
def e5(cache_dir: Path) -> Encoder:
    return load(resolve("bundled:e5-small"), threads=2, cache_dir=cache_dir)


@pytest.fixture(scope="session")
def static(cache_dir: Path) -> Encoder:
    return load(resolve("bundled:static-text"), threads=2, cache_dir=cache_dir)


@pytest.fixture(scope="session")
def photo() -> Image.Image:
    """A busy RGB picture, 96 x 64, with a different colour in each corner."""
    rng = np.random.default_rng(0)
    ramp = np.linspace(0, 200, 96)[None, :, None] * np.ones((64, 1, 3))
    ramp[:, :, 1] = np.linspace(0, 200, 64)[:, None]
    return Image.fromarray(np.clip(ramp + rng.normal(0, 12, ramp.shape), 0, 255).astype(np.uint8))


def encoded(image: Image.Image, image_format: str, **options: object) -> bytes:
    """The bytes of `image` in a file format."""
    buffer = io.BytesIO()
    image.save(buffer, image_format, **options)
    return buffer.getvalue()


def video(pictures: list[np.ndarray], rate: int | Fraction = 5, keyframe_every: int = 1) -> bytes:
    """An MPEG-4 file of (height, width, 3) uint8 pictures, one frame each."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream = container.add_stream("mpeg4", rate=rate)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.bit_rate = 4_000_000
        stream.codec_context.gop_size = keyframe_every
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return buffer.getvalue()
