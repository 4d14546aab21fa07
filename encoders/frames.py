"""Which frames of a video stand for it: judged by pixels, without a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

_JUDGED_SIDE = 256
_DARK_LUMA, _DARK_SHARE = 32, 0.96
_MIN_DEVIATION = 8.0
_BLUR_SHARE_OF_MEDIAN = 0.3


@dataclass(frozen=True)
class FrameQuality:
    """Measures of one frame at most 256 pixels wide or high, 8 bits a channel."""

    dark_share: float
    deviation: float
    sharpness: float
    main_colour_share: float
    shades: int

    @property
    def is_blank(self) -> bool:
        """Black, or one flat colour."""
        return self.dark_share > _DARK_SHARE or self.deviation < _MIN_DEVIATION

    @property
    def is_title_card(self) -> bool:
        """Text on a plain ground: one colour dominates and hardly any others are wide-spread.

        A product on a white ground has as much of one colour, but many shades besides.
        """
        return self.main_colour_share > 0.6 and self.shades <= 24


def measure(picture: Image.Image) -> FrameQuality:
    """Quality of an RGB picture.

    Sharpness is the variance of the Laplacian (Pech-Pacheco et al., "Diatom autofocusing in
    brightfield microscopy", ICPR 2000).
    """
    small = picture.copy()
    small.thumbnail((_JUDGED_SIDE, _JUDGED_SIDE), Image.Resampling.BILINEAR)
    colours = np.asarray(small)
    luma = np.asarray(small.convert("L"), dtype=np.float32)
    # 8 levels a channel: compression noise stays inside one bin.
    bins = (colours >> 5).astype(np.int32) @ np.array([64, 8, 1], dtype=np.int32)
    shares = np.bincount(bins.reshape(-1), minlength=512) / bins.size
    return FrameQuality(
        dark_share=float((luma < _DARK_LUMA).mean()),
        deviation=float(luma.std()),
        sharpness=float(_laplacian(luma).var()),
        main_colour_share=float(shares.max()),
        shades=int((np.bincount(luma.astype(np.uint8).reshape(-1), minlength=256) > luma.size * 0.0005).sum()),
    )


def _laplacian(luma: np.ndarray) -> np.ndarray[Any, Any]:
    if min(luma.shape) < 3:
        return np.zeros((1, 1), dtype=np.float32)
    centre = luma[1:-1, 1:-1]
    return luma[:-2, 1:-1] + luma[2:, 1:-1] + luma[1:-1, :-2] + luma[1:-1, 2:] - 4 * centre


def usable(qualities: Sequence[FrameQuality]) -> list[int]:
    """Indices of frames that are neither blank nor title card nor blurred beside the others."""
    pictures = [i for i, quality in enumerate(qualities) if not (quality.is_blank or quality.is_title_card)]
    if not pictures:
        return []
    limit = _BLUR_SHARE_OF_MEDIAN * float(np.median([qualities[i].sharpness for i in pictures]))
    return [i for i in pictures if qualities[i].sharpness >= limit]


def spread(seconds: Sequence[float], sharpness: Sequence[float], count: int) -> list[int]:
    """At most `count` indices, in order of time: the sharpest of each equal part of the span,
    then, where parts are empty, whatever lies farthest from those taken."""
    if not seconds:
        return []
    start, length = min(seconds), max(seconds) - min(seconds)
    best: dict[int, int] = {}
    for index, second in enumerate(seconds):
        part = min(int((second - start) / length * count), count - 1) if length > 0 else 0
        if part not in best or sharpness[index] > sharpness[best[part]]:
            best[part] = index
    chosen = list(best.values())
    rest = [index for index in range(len(seconds)) if index not in chosen]
    while rest and len(chosen) < count:
        farthest = max(rest, key=lambda index: min(abs(seconds[index] - seconds[taken]) for taken in chosen))
        rest.remove(farthest)
        chosen.append(farthest)
    return sorted(chosen, key=lambda index: seconds[index])
