"""Bytes of a picture -> an upright RGB picture, or a `ContentError` that says why not."""

from __future__ import annotations

import io
import struct
import warnings

import numpy as np
from PIL import Image, ImageCms, ImageFile, ImageOps, UnidentifiedImageError

from encoders.errors import ContentError

Image.init()  # registers every plugin, or a format named below may be unknown on first use
_ALLOWED = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
FORMATS = tuple(name for name in _ALLOWED if name in Image.OPEN)
"""Formats that are opened at all; everything else Pillow knows is refused unread."""

MAX_PIXELS = 64_000_000
MAX_BYTES = 64 * 1024 * 1024
_SRGB = ImageCms.createProfile("sRGB")


def decode_image(
    data: bytes, side: int | None = None, *, max_pixels: int = MAX_PIXELS, max_bytes: int = MAX_BYTES
) -> Image.Image:
    """Decode one picture to mode "RGB", upright by its EXIF orientation.

    16-bit samples are scaled, not clipped; CMYK goes through its embedded profile where it has
    one; transparency is composited on white. Of an animation the first frame is taken.

    With a `side`, that of a model's input, a larger picture is reduced by a whole factor, its shorter side to no less
    than twice as much; a JPEG already while it is decoded, which skips most of the work.

    Raises:
        ContentError: "empty", "too_large", "not_an_image", "unsupported_format", "truncated",
            "decompression_bomb".
    """
    if not data:
        raise ContentError("empty")
    if len(data) > max_bytes:
        raise ContentError("too_large", f"{len(data)} bytes, at most {max_bytes} are read")
    picture = _open(data)
    width, height = picture.size
    if width * height > max_pixels:
        raise ContentError("decompression_bomb", f"{width}x{height} pixels, at most {max_pixels} are decoded")
    if min(width, height) < 1:
        raise ContentError("empty", "no pixels")
    if side is not None and picture.format == "JPEG":
        picture.draft(None, (2 * side, 2 * side))
    _read_pixels(picture)
    return _reduced(_to_rgb(_upright(picture)), side)


def _open(data: bytes) -> Image.Image:
    try:
        with warnings.catch_warnings():
            # Our own limit is checked by the caller on the size in the header.
            warnings.simplefilter("ignore")
            return Image.open(io.BytesIO(data), formats=FORMATS)
    except Image.DecompressionBombError as error:
        raise ContentError("decompression_bomb", str(error)) from error
    except UnidentifiedImageError as error:
        raise ContentError(_why_unidentified(data)) from error
    except (OSError, SyntaxError, ValueError, EOFError, KeyError, IndexError, MemoryError) as error:
        raise ContentError("truncated", type(error).__name__) from error


def _why_unidentified(data: bytes) -> str:
    """Tell a picture in a format that is not allowed from something that is no picture."""
    head = data[:512].lstrip().lower()
    known = (
        b"%!ps",
        b"<svg",
        b"8bps",
        b"\x00\x00\x01\x00",
        b"icns",
        b"qoif",
        b"\x00\x00\x00\x0cjxl",
        b"jxl ",
    )
    if head.startswith(known) or b"<svg" in head or head[4:12] in (b"ftypheic", b"ftypheix", b"ftypmif1"):
        return "unsupported_format"
    if data.startswith((b"\xff\xd8\xff", b"\x89PNG\r\n", b"GIF8", b"II*\x00", b"MM\x00*")):
        return "truncated"
    return "not_an_image"


def _read_pixels(picture: Image.Image) -> None:
    if ImageFile.LOAD_TRUNCATED_IMAGES:
        raise RuntimeError("PIL.ImageFile.LOAD_TRUNCATED_IMAGES must stay off: it fills holes silently")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            picture.load()
    except Image.DecompressionBombError as error:
        raise ContentError("decompression_bomb", str(error)) from error
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError) as error:
        raise ContentError("truncated", str(error)[:120]) from error


def _upright(picture: Image.Image) -> Image.Image:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ImageOps.exif_transpose(picture)
    except (OSError, SyntaxError, ValueError, TypeError, LookupError, ArithmeticError, struct.error):
        # A broken EXIF block is common and says nothing about the pixels.
        return picture


def _to_rgb(picture: Image.Image) -> Image.Image:
    if picture.mode in ("I", "F") or picture.mode.startswith("I;16"):
        picture = _scale_to_8_bits(picture)
    if picture.mode == "CMYK":
        return _cmyk_to_rgb(picture)
    if picture.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in picture.info:
        layer = picture.convert("RGBA")
        white = Image.new("RGBA", layer.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, layer).convert("RGB")
    return picture.convert("RGB")


def _reduced(picture: Image.Image, side: int | None) -> Image.Image:
    if side is None:
        return picture
    # A strip has no shorter side to speak of.
    factor = max(min(picture.size) // (2 * side), max(picture.size) // (16 * side))
    return picture.reduce(factor) if factor > 1 else picture


def _scale_to_8_bits(picture: Image.Image) -> Image.Image:
    """One-channel 16-bit, 32-bit or float samples -> "L", by the sample type's own range."""
    samples = np.asarray(picture).astype(np.float64)
    samples = np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0)
    peak = float(samples.max(initial=0.0))
    if picture.mode == "F" and peak <= 1.0:
        scale = 255.0
    elif picture.mode == "I" and peak > 65535:
        scale = 255.0 / peak
    elif picture.mode == "F":
        scale = 255.0 / max(peak, 255.0)
    else:
        scale = 255.0 / 65535.0
    return Image.fromarray(np.clip(samples * scale + 0.5, 0, 255).astype(np.uint8))


def _cmyk_to_rgb(picture: Image.Image) -> Image.Image:
    profile = picture.info.get("icc_profile")
    if profile:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            converted = ImageCms.profileToProfile(picture, source, _SRGB, outputMode="RGB")
            if converted is not None:
                return converted
        except (ImageCms.PyCMSError, OSError):
            pass  # an unusable profile: the plain conversion below is still right within a tint
    return picture.convert("RGB")
