"""Pictures and films that are broken, missing or unusual: some products get one more file, spoilt."""

import io
from pathlib import Path

import numpy as np
from PIL import Image

from .catalogue import Catalogue, Product
from .drawing import SIZE, Scene, draw_product, picture_bytes
from .goods import BRANDS
from .paths import MediaPaths
from .spoilt import Fate, Spoilt
from .video import film

KINDS = {
    "truncated_jpeg": Fate.REJECT,
    "empty_image": Fate.REJECT,
    "text_named_png": Fate.REJECT,
    "missing_image": Fate.REJECT,
    "huge_image": Fate.REJECT,
    "truncated_mp4": Fate.REJECT,
    "empty_mp4": Fate.REJECT,
    "jpeg_named_png": Fate.KEEP,
    "cmyk_jpeg": Fate.KEEP,
    "sixteen_bit_png": Fate.KEEP,
}
_HUGE = (12_000, 9_000)  # pixels; a few kilobytes on disk
_SCENE = Scene("circle", "#E3E0D8")


def spoil_media(catalogue: Catalogue, media: MediaPaths, folder: Path, rng: np.random.Generator) -> list[Spoilt]:
    """Write the spoilt files and name them in `media`, in place."""
    each = max(1, len(catalogue) // 200)
    unlucky = rng.permutation(len(catalogue))[: each * len(KINDS)].tolist()
    spoilt = []
    for place, index in enumerate(unlucky):
        kind, product = list(KINDS)[place % len(KINDS)], catalogue.products[index]
        path, data = _file(kind, product)
        if data is not None:
            (folder / path).write_bytes(data)
        pictures, films = media[index, 0]
        (films if path.startswith("videos/") else pictures).append(path)
        spoilt.append(Spoilt("media", kind, KINDS[kind], f"media/{path}", None, product.product_id))
    return spoilt


def _file(kind: str, product: Product) -> tuple[str, bytes | None]:
    """Path and bytes (None: no file) of a spoilt picture or film of a product."""
    if kind.endswith("_mp4"):
        return f"videos/{product.product_id}_x.mp4", b"" if kind == "empty_mp4" else _half_film(product)
    suffix = ".png" if kind in ("text_named_png", "huge_image", "jpeg_named_png", "sixteen_bit_png") else ".jpg"
    return f"images/{product.product_id}_x{suffix}", _picture(kind, product)


def _picture(kind: str, product: Product) -> bytes | None:
    if kind == "missing_image":
        return None
    if kind == "empty_image":
        return b""
    if kind == "text_named_png":
        return "<html>404 图片不存在</html>\n".encode()
    if kind == "huge_image":
        buffer = io.BytesIO()
        Image.new("1", _HUGE).save(buffer, "PNG")
        return buffer.getvalue()
    image = draw_product(product.thing.code, product.paint, _SCENE)
    if kind == "sixteen_bit_png":
        return _sixteen_bit(image)
    whole = picture_bytes(image.convert("CMYK") if kind == "cmyk_jpeg" else image, ".jpg")
    return whole[: len(whole) // 2] if kind == "truncated_jpeg" else whole


def _half_film(product: Product) -> bytes:
    whole = film(product.thing.code, product.paint, _SCENE, BRANDS[product.brand].en, opening="card", seconds=2.0)
    return whole[: len(whole) // 2]


def _sixteen_bit(image: Image.Image) -> bytes:
    """A valid 16-bit greyscale PNG of a picture."""
    grey = np.asarray(image.convert("L"), dtype=np.uint16) * 257
    buffer = io.BytesIO()
    Image.frombytes("I;16", (SIZE, SIZE), grey.astype("<u2").tobytes()).save(buffer, "PNG")
    return buffer.getvalue()
