"""Pictures and films: they can be decoded unless spoilt, and a film does not open with its product."""

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image, UnidentifiedImageError

from pipelines.sample_shop import SampleShopSummary
from pipelines.sample_shop.drawing import Scene, draw_product
from pipelines.sample_shop.goods import THINGS

Read = Callable[[str], list[dict[str, object]]]
SCENE = Scene("plain", "#F2F2F0")


def _frames(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as film:
        return [frame.to_ndarray(format="rgb24").astype(int) for frame in film.decode(video=0)]


def test_films_are_short_and_do_not_open_with_the_product(drop: Path) -> None:
    films = sorted(path for path in (drop / "media/videos").iterdir() if not path.stem.endswith("x"))
    assert films
    for path in films:
        frames = _frames(path)
        assert 20 <= len(frames) <= 30
        assert frames[0].shape == (192, 192, 3)
        assert np.abs(frames[0] - frames[-1]).mean() > 5
        assert np.abs(frames[0] - frames[1]).mean() < 3  # still the opening


def test_every_named_file_is_there_but_the_missing_ones(shop: SampleShopSummary, drop: Path, rows: Read) -> None:
    named: set[str] = set()
    for row in rows("products"):
        for column in ("image_paths", "video_paths"):
            paths = row[column]
            assert isinstance(paths, list)
            named.update(path for path in paths if not path.startswith(".."))
    missing = [path for path in named if not (drop / "media" / path).exists()]
    assert len(missing) == shop.dirt["media.missing_image"]
    files = {str(path.relative_to(drop / "media")) for path in (drop / "media").rglob("*.*")}
    assert files <= named
    assert len(files) == sum(shop.media.values())


def test_spoilt_pictures_are_counted_and_all_others_open(shop: SampleShopSummary, drop: Path) -> None:
    unreadable, modes = 0, []
    for path in sorted((drop / "media/images").iterdir()):
        try:
            with Image.open(path) as image:
                image.load()
                modes.append(image.mode)
        except (UnidentifiedImageError, OSError, Image.DecompressionBombWarning):
            unreadable += 1
    kinds = ("truncated_jpeg", "empty_image", "text_named_png", "huge_image")
    assert unreadable == sum(shop.dirt[f"media.{kind}"] for kind in kinds)
    assert modes.count("CMYK") == shop.dirt["media.cmyk_jpeg"]
    assert modes.count("I;16") == shop.dirt["media.sixteen_bit_png"]


def test_truncated_films_cannot_be_read(shop: SampleShopSummary, drop: Path) -> None:
    spoilt = sorted((drop / "media/videos").glob("*_x.mp4"))
    assert len(spoilt) == shop.dirt["media.truncated_mp4"] + shop.dirt["media.empty_mp4"]
    for path in spoilt:
        with pytest.raises(av.FFmpegError):
            _frames(path)


@pytest.mark.parametrize("thing", [thing for things in THINGS for thing in things], ids=lambda thing: thing.en)
def test_every_thing_shows_its_colour(thing: object) -> None:
    code = thing.code  # type: ignore[attr-defined]
    red, blue = (np.asarray(draw_product(code, paint, SCENE, 64)).astype(int) for paint in ("#D22F27", "#3B82D6"))
    assert (np.abs(red - blue).sum(axis=2) > 60).mean() > 0.04
