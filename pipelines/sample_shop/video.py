"""Short product films. The first frame is never the product: a title card or black comes first."""

import io
from collections.abc import Iterator
from fractions import Fraction

import av
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from .drawing import Scene, draw_product

FRAMES_PER_SECOND = 10
SIDE = 192


def _black() -> Image.Image:
    return Image.new("RGB", (SIDE, SIDE))


def _title_card(words: str, tint: str) -> Image.Image:
    """A card with the brand's name: what a shop's film opens with."""
    card = Image.new("RGB", (SIDE, SIDE), tint)
    pen = ImageDraw.Draw(card)
    pen.rectangle((10, 10, SIDE - 11, SIDE - 11), outline="#333333", width=3)
    pen.text((SIDE // 2, SIDE // 2), words, fill="#222222", font=ImageFont.load_default(26), anchor="mm")
    return card


def _frames(code: str, paint: str, scene: Scene, brand: str, opening: str, seconds: float) -> Iterator[Image.Image]:
    """The film: opening, fade, then the product turning slowly."""
    total = round(seconds * FRAMES_PER_SECOND)
    first = _black() if opening == "fade" else _title_card(brand, scene.tint)
    held = 3 if opening == "fade" else 6
    fade = 5
    product: Image.Image | None = None
    for index in range(total):
        if index < held:
            yield first
            continue
        if product is None or index % 2:  # drawn on twos, as animators do
            part = index / total
            turned = Scene(scene.backdrop, scene.tint, -8 + 16 * part, 0.9 + 0.1 * part)
            product = draw_product(code, paint, turned, SIDE)
        shown = min(1.0, (index - held + 1) / fade)
        yield product if shown == 1.0 else Image.blend(first, product, shown)


def film(code: str, paint: str, scene: Scene, brand: str, *, opening: str, seconds: float) -> bytes:
    """An H.264 MP4 of a product; the same arguments give the same bytes.

    Args:
        code: OpenMoji code.
        paint: hex colour.
        scene: backdrop and tint of the film.
        brand: words on the title card.
        opening: "fade" (from black) or "card".
        seconds: length.
    """
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("libx264", rate=FRAMES_PER_SECOND)
        stream.width = stream.height = SIDE
        stream.pix_fmt = "yuv420p"
        stream.time_base = Fraction(1, FRAMES_PER_SECOND)
        stream.thread_count = 1
        stream.options = {"preset": "veryfast", "crf": "26", "threads": "1", "flags": "+bitexact"}
        for image in _frames(code, paint, scene, brand, opening, seconds):
            frame = av.VideoFrame.from_ndarray(np.asarray(image), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return buffer.getvalue()
