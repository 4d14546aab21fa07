"""Which frames of a video stand for it: judged by pixels, without a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from PIL import Image

_JUDGED_SIDE = 256
_DARK_LUMA, _DARK_SHARE = 32, 0.96
_MIN_DEVIATION = 8.0
_BLUR_SHARE_OF_MEDIAN = 0.3
# Where the score of sharpness is a half; and from where on light and contrast are no matter any more, of 255.
_HALF_SHARP, _BRIGHT_ENOUGH, _CONTRAST_ENOUGH = 200.0, 70.0, 40.0
# Cuts change most of a picture's colours, movement some.
_CUT_SHARE = 0.5


@dataclass(frozen=True)
class FrameQuality:
    """Measures of one frame at most 256 pixels wide or high, 8 bits a channel."""

    dark_share: float
    brightness: float
    deviation: float
    sharpness: float
    colour_shares: np.ndarray
    shades: int

    @property
    def score(self) -> float:
        """How good a picture it is by itself, 0 to 1: sharp, and neither too dark nor without contrast.

        Much white is no fault: it is the usual ground of a product.
        """
        exposure = min(1.0, self.brightness / _BRIGHT_ENOUGH) * min(1.0, self.deviation / _CONTRAST_ENOUGH)
        return exposure * self.sharpness / (self.sharpness + _HALF_SHARP)

    @property
    def is_blank(self) -> bool:
        """Black, or one flat colour."""
        return self.dark_share > _DARK_SHARE or self.deviation < _MIN_DEVIATION

    @property
    def is_title_card(self) -> bool:
        """Text on a plain ground: one colour dominates and hardly any others are wide-spread.

        A product on a white ground has as much of one colour, but many shades besides.
        """
        return float(self.colour_shares.max()) > 0.6 and self.shades <= 24


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
        brightness=float(luma.mean()),
        deviation=float(luma.std()),
        sharpness=float(_laplacian(luma).var()),
        colour_shares=shares,
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


def scenes(qualities: Sequence[FrameQuality]) -> list[int]:
    """The number of each frame's scene, from 0: a cut is where less than half of the colours are the last frame's
    (histogram intersection; Swain and Ballard, "Color indexing", IJCV 1991)."""
    found: list[int] = []
    for before, quality in pairwise([None, *qualities]):
        assert quality is not None
        if before is None:
            found.append(0)
            continue
        shared = float(np.minimum(before.colour_shares, quality.colour_shares).sum())
        found.append(found[-1] + (shared < _CUT_SHARE))
    return found


def pick(seconds: Sequence[float], scores: Sequence[float], scene: Sequence[int], count: int) -> list[int]:
    """At most `count` indices, in order of time: scenes share them by their length (D'Hondt; of scenes alike the one
    farthest from those that have one already), and each scene gives those that `spread` takes."""
    members = [[i for i, number in enumerate(scene) if number == s] for s in sorted(set(scene))]
    shares = [0] * len(members)
    for _ in range(min(count, len(seconds))):
        open_ones = [s for s, own in enumerate(members) if shares[s] < len(own)]
        taken = [s for s, share in enumerate(shares) if share]

        def claim(s: int, taken: list[int] = taken) -> tuple[float, float]:
            apart = min((abs(seconds[members[s][0]] - seconds[members[t][0]]) for t in taken), default=0.0)
            return len(members[s]) / (shares[s] + 1), apart

        shares[max(open_ones, key=claim)] += 1
    chosen = [
        own[place]
        for own, share in zip(members, shares, strict=True)
        if share
        for place in spread([seconds[i] for i in own], [scores[i] for i in own], share)
    ]
    return sorted(chosen, key=lambda index: seconds[index])


def spread(seconds: Sequence[float], scores: Sequence[float], count: int) -> list[int]:
    """At most `count` indices, in order of time: the best of each equal part of the span,
    then, where parts are empty, whatever lies farthest from those taken."""
    if not seconds:
        return []
    start, length = min(seconds), max(seconds) - min(seconds)
    best: dict[int, int] = {}
    for index, second in enumerate(seconds):
        part = min(int((second - start) / length * count), count - 1) if length > 0 else 0
        if part not in best or scores[index] > scores[best[part]]:
            best[part] = index
    chosen = list(best.values())
    rest = [index for index in range(len(seconds)) if index not in chosen]
    while rest and len(chosen) < count:
        farthest = max(rest, key=lambda index: min(abs(seconds[index] - seconds[taken]) for taken in chosen))
        rest.remove(farthest)
        chosen.append(farthest)
    return sorted(chosen, key=lambda index: seconds[index])
