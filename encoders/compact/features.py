"""Trunk features of the training pictures: computed once, as the trunk is frozen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import timm
import torch
from PIL import Image, ImageOps

from encoders.compact.pictures import Picture
from encoders.compact.trunk import TIMM_NAME, package_state

SIDE = 224


def pixels(picture: Image.Image, mirrored: bool = False) -> torch.Tensor:
    """As open_clip does for this model: longest side to 224, bicubic, white around; (3, 224, 224)."""
    layer = picture.convert("RGBA")
    white = Image.alpha_composite(Image.new("RGBA", layer.size, (255, 255, 255, 255)), layer).convert("RGB")
    fitted = ImageOps.pad(white, (SIDE, SIDE), Image.Resampling.BICUBIC, color=(255, 255, 255))
    if mirrored:
        fitted = ImageOps.mirror(fitted)
    return torch.from_numpy(np.array(fitted)).permute(2, 0, 1).float().div(127.5).sub(1)


def extract(pictures: Sequence[Picture], *, mirrored: bool = False, batch: int = 64) -> np.ndarray:
    """(n, 1280) float32: what the trunk gives after average pooling."""
    model: Any = timm.create_model(TIMM_NAME)
    model.load_state_dict(package_state())
    model.reset_classifier(0)
    model.eval().to(memory_format=torch.channels_last)
    parts = []
    with torch.inference_mode():
        for start in range(0, len(pictures), batch):
            rows = [pixels(picture.read(), mirrored) for picture in pictures[start : start + batch]]
            images = torch.stack(rows).contiguous(memory_format=torch.channels_last)
            parts.append(model(images).numpy())
    return np.concatenate(parts)
