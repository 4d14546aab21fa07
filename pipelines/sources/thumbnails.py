"""Small pictures for pages that people read, inside the page."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable

from PIL import Image

from encoders.errors import ContentError
from encoders.image import decode_image
from pipelines.sources.media_bytes import MediaError, read_media


def thumbnail(places: Iterable[str], side: int) -> str | None:
    """A JPEG of at most `side` x `side` pixels as a data URL, None where no place has a picture any more."""
    for place in places:
        try:
            picture = decode_image(read_media(place))
        except (MediaError, ContentError):
            continue
        picture.thumbnail((side, side), Image.Resampling.BILINEAR)
        stream = io.BytesIO()
        picture.save(stream, "JPEG", quality=80)
        return f"data:image/jpeg;base64,{base64.b64encode(stream.getvalue()).decode()}"
    return None
