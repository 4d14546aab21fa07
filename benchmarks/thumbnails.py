"""Which product is in the film? Frames chosen as the encode job chooses them, beside the first and the middle frame.

Films and pictures of a drawn shop (`MMFS_BENCH_USERS`, default 2,000) through the bundled picture encoder. A film's
vector looks for its product among all products by their pictures; recall with 95% intervals, and the difference to
the chosen frames paired by film (bootstrap).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table

_USERS = os.environ.get("MMFS_BENCH_USERS", "2000")
Frames = Callable[[bytes], list[Image.Image]]


def main() -> None:
    """Measure and print."""
    from encoders.decoder import select_frames
    from encoders.evaluation.estimates import paired, share
    from encoders.load import load
    from encoders.spec import resolve

    ways: dict[str, Frames] = {
        "chosen": lambda data: [frame.image for frame in select_frames(data)],
        "best of the chosen": lambda data: [max(select_frames(data), key=lambda frame: frame.score).image],
        "first frame": lambda data: [_at(data, 0.0)],
        "middle frame": lambda data: [_at(data, 0.5)],
    }
    with tempfile.TemporaryDirectory() as folder:
        shop = Path(folder) / "shop"
        command = [sys.executable, "-m", "pipelines", "sample-shop", str(shop), "--users", _USERS, "--days", "7"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        encoder = load(resolve("bundled:compact-clip"), threads=os.cpu_count() or 1)
        products, films = _contents(shop)
        known = np.stack([_mean(encoder, pictures) for pictures in products])
        ranks = {}
        for way, frames in ways.items():
            vectors = np.stack([_mean(encoder, frames(path.read_bytes())) for _, path in films])
            similar = vectors @ known.T
            own = similar[np.arange(len(films)), [product for product, _ in films]]
            ranks[way] = (similar > own[:, None]).sum(axis=1)
    table = Table("frames", "recall@1", "recall@5", "chosen is better at 1 by")
    table.title = f"{len(films)} films, {len(products)} products"
    for way, rank in ranks.items():
        gain = paired(rank < 1, ranks["chosen"] < 1)
        assert gain is not None
        told = "" if way == "chosen" else f"{gain.value:.3f} [{gain.low:.3f}, {gain.high:.3f}]"
        table.add_row(way, str(share(rank < 1)), str(share(rank < 5)), told)
    Console().print(table)


def _contents(shop: Path) -> tuple[list[list[Image.Image]], list[tuple[int, Path]]]:
    """The pictures of each product that has some that open, and the films that open, with their product's place."""
    products: list[list[Image.Image]] = []
    films: list[tuple[int, Path]] = []
    for row in _rows(shop / "products.jsonl"):
        pictures = [p for name in row.get("image_paths") or [] if (p := _opened(shop / "media" / name))]
        if pictures:
            films += [(len(products), shop / "media" / name) for name in row.get("video_paths") or []]
            products.append(pictures)
    return products, [(place, path) for place, path in films if _has_frames(path)]


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    """Those that are JSON; some are spoilt."""
    for line in path.read_bytes().split(b"\n"):
        with suppress(ValueError):
            yield json.loads(line)


def _opened(path: Path) -> Image.Image | None:
    """The picture; None where it is spoilt."""
    from encoders.errors import ContentError
    from encoders.image import decode_image

    try:
        return decode_image(path.read_bytes())
    except (ContentError, FileNotFoundError):
        return None


def _has_frames(path: Path) -> bool:
    from encoders.decoder import select_frames
    from encoders.errors import ContentError

    try:
        select_frames(path.read_bytes())
    except (ContentError, FileNotFoundError):
        return False
    return True


def _at(data: bytes, share: float) -> Image.Image:
    import io

    with av.open(io.BytesIO(data), "r") as film:
        frames = list(film.decode(video=0))
    picture: Image.Image = frames[int(share * (len(frames) - 1))].to_image()
    return picture


def _mean(encoder: Any, pictures: list[Image.Image]) -> np.ndarray:
    mean = encoder.encode_images(pictures).mean(axis=0)
    return np.asarray(mean / np.linalg.norm(mean))


if __name__ == "__main__":
    main()
