import io

import numpy as np
import pytest
from PIL import Image

from encoders.errors import ContentError
from encoders.image import decode_image
from tests.encoders.conftest import encoded


def close(first: Image.Image, second: Image.Image, tolerance: float = 6.0) -> bool:
    difference = np.asarray(first, np.float32) - np.asarray(second, np.float32)
    return float(np.abs(difference).mean()) < tolerance


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_formats_give_the_same_picture(photo: Image.Image, image_format: str) -> None:
    decoded = decode_image(encoded(photo, image_format))
    assert (decoded.mode, decoded.size) == ("RGB", photo.size)
    assert close(decoded, photo, 12.0)


def test_cmyk_jpeg(photo: Image.Image) -> None:
    decoded = decode_image(encoded(photo.convert("CMYK"), "JPEG", quality=95))
    assert decoded.mode == "RGB"
    assert close(decoded, photo, 12.0)


def test_16_bit_png_is_scaled_not_clipped(photo: Image.Image) -> None:
    grey = np.asarray(photo.convert("L"))
    decoded = decode_image(encoded(Image.fromarray(grey.astype(np.uint16) * 257), "PNG"))
    assert np.abs(np.asarray(decoded)[:, :, 0].astype(int) - grey).max() <= 1


def test_transparent_becomes_white() -> None:
    layer = Image.new("RGBA", (20, 10), (0, 0, 0, 0))
    layer.paste((200, 0, 0, 255), (0, 0, 10, 10))
    decoded = decode_image(encoded(layer, "PNG"))
    assert decoded.getpixel((5, 5)) == (200, 0, 0)
    assert decoded.getpixel((15, 5)) == (255, 255, 255)


def test_palette_transparency_becomes_white() -> None:
    palette = Image.new("P", (4, 4), 0)
    palette.putpalette([0, 0, 0, 255, 0, 0])
    decoded = decode_image(encoded(palette, "PNG", transparency=0))
    assert decoded.getpixel((1, 1)) == (255, 255, 255)


def test_exif_rotation_is_applied(photo: Image.Image) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    decoded = decode_image(encoded(photo, "JPEG", exif=exif, quality=95))
    assert decoded.size == (64, 96)
    assert close(decoded, photo.transpose(Image.Transpose.ROTATE_270), 12.0)


def test_truncated(photo: Image.Image) -> None:
    whole = encoded(photo.resize((400, 300)), "JPEG")
    assert reason_of(whole[: len(whole) // 2]) == "truncated"
    png = encoded(photo, "PNG")
    assert reason_of(png[: len(png) // 2]) == "truncated"


def test_bomb(photo: Image.Image) -> None:
    assert reason_of(encoded(photo, "PNG"), max_pixels=100) == "decompression_bomb"
    huge = encoded(Image.new("1", (30_000, 10_000)), "PNG")
    assert reason_of(huge) == "decompression_bomb"


def test_too_large(photo: Image.Image) -> None:
    assert reason_of(encoded(photo, "PNG"), max_bytes=100) == "too_large"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"hello, I am no picture", "not_an_image"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "unsupported_format"),
        (b"%!PS-Adobe-3.0 EPSF-3.0", "unsupported_format"),
        (b"\xff\xd8\xff\xe0", "truncated"),
    ],
)
def test_reasons(data: bytes, reason: str) -> None:
    assert reason_of(data) == reason


def test_first_frame_of_an_animation(photo: Image.Image) -> None:
    buffer = io.BytesIO()
    photo.save(buffer, "GIF", save_all=True, append_images=[Image.new("RGB", photo.size)])
    assert close(decode_image(buffer.getvalue()), photo, 12.0)


def reason_of(data: bytes, **limits: int) -> str:
    with pytest.raises(ContentError) as caught:
        decode_image(data, **limits)
    return caught.value.reason
