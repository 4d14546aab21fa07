"""What the trunk sees of the training pictures, computed once.

Kept is the input of the trunk's last convolution, (320, 7, 7): up to there the trunk stays as its
package gives it, the last convolution is trained. Each picture has several views: as the encoder
sees it, mirrored, cropped (photos), set small and askew on a coloured ground (drawings).
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from PIL import Image, ImageEnhance, ImageOps

from encoders.compact.pictures import Picture
from encoders.compact.trunk import TIMM_NAME, package_state

SIDE = 224
SHAPE = (320, 7, 7)
VIEWS = {"clothing": 4, "grocery": 4, "clip-art": 1}
DRAWING_VIEWS = 2
_PART = 2048


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
    place = tuple(chance.randint(min(0, SIDE - length), max(0, SIDE - length)) for length in layer.size)
    full = Image.new("RGBA", (SIDE, SIDE), (0, 0, 0, 0))
    full.paste(layer, place)
    return Image.alpha_composite(ground, full).convert("RGB")


def _cropped(picture: Image.Image, chance: random.Random) -> Image.Image:
    width, height = picture.size
    kept = chance.uniform(0.6, 1.0)
    box_width, box_height = width * kept, height * min(1.0, kept * chance.uniform(0.85, 1.18))
    left, top = chance.uniform(0, width - box_width), chance.uniform(0, height - box_height)
    crop = picture.crop(tuple(round(edge) for edge in (left, top, left + box_width, top + box_height)))
    turned = crop.rotate(chance.uniform(-8, 8), Image.Resampling.BILINEAR, fillcolor=(255, 255, 255))
    return ImageOps.pad(turned, (SIDE, SIDE), Image.Resampling.BICUBIC, color=(255, 255, 255))


def extract(pictures: Sequence[Picture], folder: Path, batch: int = 64) -> np.ndarray:
    """(all views, 320, 7, 7) float16, memory-mapped, the views of a picture one after the other.

    Written in parts; a run that was killed goes on at the first part that is missing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    whole = folder / "maps.npy"
    total = sum(map(view_count, pictures))
    if not whole.exists():
        body = _body()
        for start in range(0, total, _PART):
            part = folder / f"part-{start:07d}.npy"
            if not part.exists():
                views = _views(pictures, start, start + _PART)
                _write(part, np.concatenate(list(_forward(body, views, batch))))
                print(f"trunk: {min(start + _PART, total)} of {total} views", flush=True)
        parts = sorted(folder.glob("part-*.npy"))
        joined = np.lib.format.open_memmap(folder / "joining.npy", "w+", np.float16, (total, *SHAPE))
        for start, part in zip(range(0, total, _PART), parts, strict=True):
            joined[start : start + _PART] = np.load(part)
        joined.flush()
        (folder / "joining.npy").rename(whole)
        for part in parts:
            part.unlink()
    return np.load(whole, mmap_mode="r")


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


def _forward(body: Any, views: Iterator[torch.Tensor], batch: int) -> Iterator[np.ndarray]:
    rows: list[torch.Tensor] = []
    for row in views:
        rows.append(row)
        if len(rows) == batch:
            yield _maps(body, rows)
            rows = []
    if rows:
        yield _maps(body, rows)


def _maps(body: Any, rows: list[torch.Tensor]) -> np.ndarray:
    with torch.inference_mode():
        images = torch.stack(rows).contiguous(memory_format=torch.channels_last)
        found: torch.Tensor = body(images)
    return found.half().numpy()


def _body() -> Any:
    """The trunk up to its last convolution."""
    model: Any = timm.create_model(TIMM_NAME)
    model.load_state_dict(package_state())
    model.eval()
    return torch.nn.Sequential(model.conv_stem, model.bn1, model.blocks).to(memory_format=torch.channels_last)
