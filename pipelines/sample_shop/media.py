"""Draws every product's pictures and films into the drop, and spoils a few."""

import io
from pathlib import Path

import numpy as np
from PIL import Image

from .catalogue import FAR, Catalogue, Product
from .drawing import SIZE, STYLE_LOOKS, Scene, draw_product, picture_bytes
from .goods import BRANDS, COLOURS, THINGS
from .video import film

Paths = tuple[list[str], list[str]]
SPOILT = (
    "truncated_jpeg", "empty_image", "text_named_png", "missing_image", "cmyk_jpeg", "sixteen_bit_png",
    "truncated_mp4",
)  # fmt: skip


def draw_media(catalogue: Catalogue, folder: Path, seed: int) -> tuple[dict[tuple[int, int], Paths], dict[str, int]]:
    """Write all media.

    Returns:
        (product, version) → picture and film paths relative to `folder`; and how many files of each
        kind are spoilt.
    """
    for name in ("images", "videos"):
        (folder / name).mkdir(parents=True)
    media: dict[tuple[int, int], Paths] = {}
    for product in catalogue.products:
        rng = np.random.default_rng([seed, 4, product.index])
        media[product.index, 0] = _draw_version(product, product.colour, "", folder, rng)
        if product.changed_us != FAR:
            same = product.later_colour == product.colour
            media[product.index, 1] = (
                media[product.index, 0] if same else _draw_version(product, product.later_colour, "b", folder, rng)
            )
    return media, _spoil(catalogue, media, folder, np.random.default_rng([seed, 5]))


def _scenes(product: Product, rng: np.random.Generator) -> list[Scene]:
    """Catalogue picture, turned picture, picture with a second item: as many as the product has."""
    backdrops, tints = STYLE_LOOKS[product.style]
    goods = THINGS[int(rng.integers(len(THINGS)))]
    tint = [tints[int(place)] for place in rng.permutation(len(tints))]
    turns = rng.uniform(-1, 1, 2)
    scenes = [
        Scene(backdrops[0], tint[0], 6 * float(turns[0]), 0.95),
        Scene(backdrops[1], tint[1], 25 * float(turns[1]), 0.85),
        Scene(
            backdrops[int(rng.integers(2))], tint[2],
            companion=goods[int(rng.integers(len(goods)))].code,
            companion_paint=COLOURS[int(rng.integers(len(COLOURS)))].paint,
        ),
    ]  # fmt: skip
    return scenes[: product.pictures]


def _draw_version(product: Product, colour: int, mark: str, folder: Path, rng: np.random.Generator) -> Paths:
    paint = COLOURS[colour].paint
    pictures, films = [], []
    scenes = _scenes(product, rng)
    for number, scene in enumerate(scenes, start=1):
        suffix = ".png" if rng.random() < 0.35 else ".jpg"
        path = f"images/{product.product_id}_{number}{mark}{suffix}"
        (folder / path).write_bytes(picture_bytes(draw_product(product.thing.code, paint, scene), suffix))
        pictures.append(path)
    if product.filmed:
        path = f"videos/{product.product_id}{mark}.mp4"
        opening = "fade" if product.index % 2 else "card"
        seconds = float(rng.choice([2.0, 2.5, 3.0]))
        brand = BRANDS[product.brand].en
        (folder / path).write_bytes(film(product.thing.code, paint, scenes[0], brand, opening=opening, seconds=seconds))
        films.append(path)
    return pictures, films


def _spoil(
    catalogue: Catalogue, media: dict[tuple[int, int], Paths], folder: Path, rng: np.random.Generator
) -> dict[str, int]:
    """Give some products one more picture or film that is broken, missing or unusual.

    CMYK and 16-bit pictures are valid.
    """
    each = max(1, len(catalogue) // 150)
    unlucky = rng.permutation(len(catalogue))[: each * len(SPOILT)].tolist()
    for place, index in enumerate(unlucky):
        kind, product = SPOILT[place % len(SPOILT)], catalogue.products[index]
        path, data = _spoilt_file(kind, product)
        if data is not None:
            (folder / path).write_bytes(data)
        media[index, 0][path.startswith("videos/")].append(path)
    return {f"media.{kind}": each for kind in SPOILT}


def _spoilt_file(kind: str, product: Product) -> tuple[str, bytes | None]:
    """Path and bytes (None: no file) of a spoilt picture or film of a product."""
    code, paint = product.thing.code, product.paint
    scene = Scene("circle", "#E3E0D8")
    if kind == "truncated_mp4":
        whole = film(code, paint, scene, BRANDS[product.brand].en, opening="card", seconds=2.0)
        return f"videos/{product.product_id}_x.mp4", whole[: len(whole) // 2]
    name = f"images/{product.product_id}_x"
    if kind == "empty_image":
        return f"{name}.jpg", b""
    if kind == "text_named_png":
        return f"{name}.png", "<html>404 图片不存在</html>\n".encode()
    if kind == "missing_image":
        return f"{name}.jpg", None
    image = draw_product(code, paint, scene)
    if kind == "cmyk_jpeg":
        return f"{name}.jpg", picture_bytes(image.convert("CMYK"), ".jpg")
    if kind == "sixteen_bit_png":
        return f"{name}.png", _sixteen_bit(image)
    whole = picture_bytes(image, ".jpg")
    return f"{name}.jpg", whole[: len(whole) // 2]


def _sixteen_bit(image: Image.Image) -> bytes:
    """A valid 16-bit greyscale PNG of a picture."""
    grey = np.asarray(image.convert("L"), dtype=np.uint16) * 257
    buffer = io.BytesIO()
    Image.frombytes("I;16", (SIZE, SIZE), grey.astype("<u2").tobytes()).save(buffer, "PNG")
    return buffer.getvalue()
