"""Pictures and videos drawn from a seed."""

from __future__ import annotations

import io
from typing import Any

import av
import numpy as np
from PIL import Image, ImageDraw


def picture(seed: int, size: tuple[int, int] = (96, 80), image_format: str = "PNG", **options: Any) -> bytes:
    """A drawn picture; the same seed gives the same one."""
    colours = np.random.default_rng(seed).integers(0, 255, (6, 3))
    image = Image.new("RGB", size, tuple(int(c) for c in colours[0]))
    draw = ImageDraw.Draw(image)
    for i in range(1, 6):
        corner = (i * size[0] // 8, i * size[1] // 9)
        draw.ellipse((*corner, corner[0] + size[0] // 3, corner[1] + size[1] // 3), fill=tuple(map(int, colours[i])))
    stream = io.BytesIO()
    image.save(stream, image_format, **options)
    return stream.getvalue()


def video(seed: int, frames: int = 24) -> bytes:
    """A black frame, then moving discs."""
    stream = io.BytesIO()
    noise = np.random.default_rng(seed).integers(0, 255, (120, 160, 3)).astype(np.uint8)
    with av.open(stream, "w", format="mp4") as container:
        track = container.add_stream("mpeg4", rate=8)
        track.width, track.height, track.pix_fmt = 160, 120, "yuv420p"
        for i in range(frames):
            image = Image.fromarray(noise if i else np.zeros_like(noise))
            if i:
                ImageDraw.Draw(image).ellipse((4 * i, 20, 4 * i + 50, 80), fill=(200, 40, 8 * i))
            for packet in track.encode(av.VideoFrame.from_image(image)):
                container.mux(packet)
        for packet in track.encode():
            container.mux(packet)
    return stream.getvalue()
