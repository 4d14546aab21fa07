"""Trunk features of the training pictures, computed once, as the trunk is frozen.

Each picture has several views: as the encoder sees it, mirrored and cropped (photos), set small and
askew on a coloured ground (drawings).
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from itertools import groupby, islice
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from PIL import Image, ImageEnhance, ImageOps
from torch.nn.utils.fusion import fuse_conv_bn_eval

from encoders.compact.pictures import Picture
from encoders.compact.trunk import TIMM_NAME, package_state

SIDE = 224
_FOLDED = {
    "EfficientNet": (("conv_stem", "bn1"), ("conv_head", "bn2")),
    "DepthwiseSeparableConv": (("conv_dw", "bn1"), ("conv_pw", "bn2")),
    "InvertedResidual": (("conv_pw", "bn1"), ("conv_dw", "bn2"), ("conv_pwl", "bn3")),
}
"""Modules of the trunk: their convolutions with the norm that follows each."""
VIEWS = {"clothing": 4, "grocery": 4, "clip-art": 1}
DRAWING_VIEWS = 2


def view_count(picture: Picture) -> int:
    """Test pictures are seen once, as they are."""
    return 1 if picture.split != "train" else VIEWS.get(picture.group, DRAWING_VIEWS)


def on_white(picture: Image.Image) -> Image.Image:
    """RGB, transparency on white, upright."""
    layer = ImageOps.exif_transpose(picture).convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layer.size, (255, 255, 255, 255)), layer).convert("RGB")


def fitted(picture: Image.Image) -> Image.Image:
    """As open_clip does for this model: longest side to 224, bicubic, white around."""
    return ImageOps.pad(on_white(picture), (SIDE, SIDE), Image.Resampling.BICUBIC, color=(255, 255, 255))


def view(picture: Image.Image, number: int, drawing: bool, seed: str) -> Image.Image:
    """(224, 224) RGB: view 0 is as the encoder sees it, a photo's 1 mirrored, others by chance from `seed`."""
    if number == 0:
        return fitted(picture)
    if number == 1 and not drawing:
        return ImageOps.mirror(fitted(picture))
    chance = random.Random(f"{seed}/{number}")
    changed = _askew(picture, chance) if drawing else _cropped(on_white(picture), chance)
    if chance.random() < 0.5:
        changed = ImageOps.mirror(changed)
    for enhance in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        changed = enhance(changed).enhance(chance.uniform(0.75, 1.3))
    return changed


def _askew(picture: Image.Image, chance: random.Random) -> Image.Image:
    layer = picture.convert("RGBA")
    side = round(SIDE * chance.uniform(0.55, 1.0))
    layer = ImageOps.contain(layer, (side, side), Image.Resampling.BICUBIC)
    layer = layer.rotate(chance.uniform(-20, 20), Image.Resampling.BICUBIC, expand=True)
    light = tuple(chance.randint(170, 255) for _ in range(3)) if chance.random() < 0.5 else (255, 255, 255)
    ground = Image.new("RGBA", (SIDE, SIDE), (*light, 255))
    left, top = (chance.randint(min(0, SIDE - length), max(0, SIDE - length)) for length in layer.size)
    full = Image.new("RGBA", (SIDE, SIDE), (0, 0, 0, 0))
    full.paste(layer, (left, top))
    return Image.alpha_composite(ground, full).convert("RGB")


def _cropped(picture: Image.Image, chance: random.Random) -> Image.Image:
    width, height = picture.size
    kept = chance.uniform(0.6, 1.0)
    box_width, box_height = width * kept, height * min(1.0, kept * chance.uniform(0.85, 1.18))
    left, top = chance.uniform(0, width - box_width), chance.uniform(0, height - box_height)
    crop = picture.crop((round(left), round(top), round(left + box_width), round(top + box_height)))
    turned = crop.rotate(chance.uniform(-8, 8), Image.Resampling.BILINEAR, fillcolor=(255, 255, 255))
    return ImageOps.pad(turned, (SIDE, SIDE), Image.Resampling.BICUBIC, color=(255, 255, 255))


def extract(pictures: Sequence[Picture], folder: Path, part: int = 1024) -> np.ndarray:
    """(all views, 1280) float32, the views of a picture one after the other; pictures of a group stand together.

    Kept by group and written in parts: a run that was killed goes on at the first part that is missing, and a new
    style costs its own pictures alone.
    """
    folder.mkdir(parents=True, exist_ok=True)
    grouped = {group: list(members) for group, members in groupby(pictures, key=lambda picture: picture.group)}
    return np.concatenate([_of_group(group, members, folder, part) for group, members in grouped.items()])


def _of_group(group: str, pictures: Sequence[Picture], folder: Path, part: int) -> np.ndarray:
    whole = folder / f"{group}.npy"
    if not whole.exists():
        model, total, parts = _trunk(), sum(map(view_count, pictures)), []
        for start in range(0, total, part):
            path = folder / f"{group}-{start:06d}.part"
            if not path.exists():
                _write(path, np.concatenate(list(_forward(model, _views(pictures, start, start + part)))))
                print(f"trunk: {min(start + part, total)} of {total} views of {group}", flush=True)
            parts.append(path)
        _write(whole, np.concatenate([np.load(path) for path in parts]))
        for path in parts:
            path.unlink()
    return np.asarray(np.load(whole))


def first_rows(pictures: Sequence[Picture]) -> np.ndarray:
    """(pictures,) row of each picture's view 0 among all views."""
    counts = np.array([view_count(picture) for picture in pictures])
    return np.asarray(np.concatenate([[0], np.cumsum(counts)[:-1]]))


def _write(path: Path, values: np.ndarray) -> None:
    scratch = path.with_suffix(".writing")
    with scratch.open("wb") as file:
        np.save(file, values)
    scratch.rename(path)


def _views(pictures: Sequence[Picture], start: int, stop: int) -> Iterator[torch.Tensor]:
    """(3, 224, 224) of the views number `start` to `stop`."""
    place = 0
    for picture in pictures:
        count = view_count(picture)
        wanted = range(max(0, start - place), min(count, stop - place))
        if wanted:
            image = picture.read()
            drawing = picture.group not in ("clothing", "grocery")
            for number in wanted:
                seed = f"{picture.group}/{picture.concept}/{place}"
                yield pixels(view(image, number, drawing, seed))
        place += count


def pixels(image: Image.Image) -> torch.Tensor:
    """RGB picture -> (3, height, width) float32 in [-1, 1], as the trunk was trained."""
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).float().div(127.5).sub(1)


def _forward(model: Any, views: Iterator[torch.Tensor], batch: int = 64) -> Iterator[np.ndarray]:
    while rows := list(islice(views, batch)):
        with torch.inference_mode():
            images = torch.stack(rows).contiguous(memory_format=torch.channels_last)
            yield model(images).numpy()


def _trunk() -> Any:
    """The packaged trunk without its classifier, batch norms folded into the convolutions: a quarter faster."""
    model: Any = timm.create_model(TIMM_NAME)
    model.load_state_dict(package_state())
    model.reset_classifier(0)
    model.eval()
    for module in list(model.modules()):
        for convolution, norm in _FOLDED.get(type(module).__name__, ()):
            folded = fuse_conv_bn_eval(getattr(module, convolution), getattr(module, norm))
            setattr(module, convolution, folded)
            setattr(module, norm, getattr(module, norm).act)
    return model.to(memory_format=torch.channels_last)
