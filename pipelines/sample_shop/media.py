"""Draws every product's pictures and films into the drop, on all cores where there are many."""

import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from .catalogue import FAR, Catalogue, Product
from .drawing import STYLE_LOOKS, Scene, draw_product, picture_bytes
from .goods import BRANDS, COLOURS, THINGS
from .paths import MediaPaths, Paths
from .video import film

_IN_PROCESSES = 150  # versions; for fewer, starting processes takes longer than drawing
_STEP = 2  # degrees between the turns of pictures, so that some are drawn alike and need drawing once


@dataclass(frozen=True)
class _Version:
    """A product as it looks from some time on."""

    product: Product
    number: int
    colour: int

    @property
    def mark(self) -> str:
        return "b" if self.number else ""


def draw_media(catalogue: Catalogue, folder: Path, seed: int) -> MediaPaths:
    """Write all pictures and films below `folder`; the same arguments give the same bytes, on any number of cores."""
    for name in ("images", "videos"):
        (folder / name).mkdir(parents=True)
    versions = list(_versions(catalogue))
    draw = partial(_draw, folder=folder, seed=seed)
    if len(versions) < _IN_PROCESSES:
        paths = [draw(version) for version in versions]
    else:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        # Started anew, not forked: the caller may have threads, and a JVM.
        with ProcessPoolExecutor(cores, multiprocessing.get_context("spawn")) as pool:
            paths = list(pool.map(draw, versions, chunksize=16))
    media = {(version.product.index, version.number): path for version, path in zip(versions, paths, strict=True)}
    for product in catalogue.products:
        if product.changed_us != FAR and product.later_colour == product.colour:
            media[product.index, 1] = media[product.index, 0]
    return media


def _versions(catalogue: Catalogue) -> Iterator[_Version]:
    for product in catalogue.products:
        yield _Version(product, 0, product.colour)
        if product.changed_us != FAR and product.later_colour != product.colour:
            yield _Version(product, 1, product.later_colour)


def _scenes(product: Product, rng: np.random.Generator) -> list[Scene]:
    """Catalogue picture, turned picture, picture with a second item: as many as the product has."""
    backdrops, tints = STYLE_LOOKS[product.style]
    goods = THINGS[int(rng.integers(len(THINGS)))]
    tint = [tints[int(place)] for place in rng.permutation(len(tints))]
    slight, strong = _STEP * int(rng.integers(-3, 4)), _STEP * int(rng.integers(-12, 13))
    scenes = [
        Scene(backdrops[0], tint[0], slight, 0.95),
        Scene(backdrops[1], tint[1], strong, 0.85),
        Scene(
            backdrops[int(rng.integers(2))], tint[2],
            companion=goods[int(rng.integers(len(goods)))].code,
            companion_paint=COLOURS[int(rng.integers(len(COLOURS)))].paint,
        ),
    ]  # fmt: skip
    return scenes[: product.pictures]


def _draw(version: _Version, folder: Path, seed: int) -> Paths:
    """Write a version's files."""
    product, mark, paint = version.product, version.mark, COLOURS[version.colour].paint
    rng = np.random.default_rng([seed, 4, product.index, version.number])
    pictures, films = [], []
    scenes = _scenes(product, rng)
    for number, scene in enumerate(scenes, start=1):
        suffix = ".png" if rng.random() < 0.35 else ".jpg"
        path = f"images/{product.product_id}_{number}{mark}{suffix}"
        (folder / path).write_bytes(picture_bytes(draw_product(product.thing.code, paint, scene), suffix))
        pictures.append(path)
    if product.filmed:
        path = f"videos/{product.product_id}{mark}.mp4"
        opening = "fade" if product.index % 2 else "card"
        seconds = float(rng.choice([2.0, 2.5, 3.0]))
        brand = BRANDS[product.brand].en
        (folder / path).write_bytes(film(product.thing.code, paint, scenes[0], brand, opening=opening, seconds=seconds))
        films.append(path)
    return pictures, films
