import os
import signal
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

import encoders.decoder
from encoders.decoder import select_frames
from encoders.errors import ContentError
from encoders.frames import measure, pick, scenes, spread, usable
from tests.encoders.conftest import video

SIZE = (320, 240)


def scene(seed: int) -> Image.Image:
    """A picture of many sharp coloured shapes."""
    rng = np.random.default_rng(seed)
    picture = Image.new("RGB", SIZE, tuple(rng.integers(40, 220, 3).tolist()))
    draw = ImageDraw.Draw(picture)
    for _ in range(60):
        x, y = int(rng.integers(0, 300)), int(rng.integers(0, 220))
        w, h = rng.integers(8, 60, 2).tolist()
        draw.ellipse((x, y, x + w, y + h), fill=tuple(rng.integers(0, 255, 3).tolist()))
    return picture


def title_card() -> Image.Image:
    picture = Image.new("RGB", SIZE, (20, 30, 120))
    ImageDraw.Draw(picture).text((60, 100), "SUMMER SALE", fill=(255, 255, 255), font_size=28)
    return picture


def product_on_white() -> Image.Image:
    """A shaded ball on a white ground, as in a shop."""
    y, x = np.mgrid[0:240, 0:320]
    distance = np.hypot(x - 160, y - 120)
    shade = np.clip(255 - distance * 2.2, 20, 255)
    picture = np.full((240, 320, 3), 255.0)
    ball = distance < 65
    picture[ball] = np.stack([shade[ball], shade[ball] * 0.6, 255 - shade[ball]], axis=-1)
    return Image.fromarray(picture.astype(np.uint8))


def black() -> Image.Image:
    return Image.new("RGB", SIZE)


def arrays(*pictures: Image.Image) -> list[np.ndarray]:
    return [np.asarray(picture) for picture in pictures]


@pytest.mark.parametrize("keyframe_every", [1, 100])
def test_skips_black_title_and_blurred(keyframe_every: int) -> None:
    blurred = scene(3).filter(ImageFilter.GaussianBlur(6))
    pictures = arrays(black(), title_card(), scene(1), scene(2), blurred, scene(4), scene(5), black())
    frames = select_frames(video(pictures, keyframe_every=keyframe_every), count=4)
    assert [round(frame.seconds * 5) for frame in frames] == [2, 3, 5, 6]
    assert all(frame.image.mode == "RGB" and frame.image.size == SIZE for frame in frames)


def test_frames_are_spread_over_the_video() -> None:
    frames = select_frames(video(arrays(*(scene(seed) for seed in range(40)))), count=4)
    seconds = [frame.seconds for frame in frames]
    assert len(seconds) == 4
    assert all(second // 2 == part for part, second in enumerate(seconds))


def test_product_on_white_is_no_title_card() -> None:
    assert usable([measure(product_on_white()), measure(title_card()), measure(black())]) == [0]


def test_nothing_usable() -> None:
    assert reason_of(video(arrays(black(), title_card(), black()))) == "no_usable_frame"


@pytest.mark.parametrize(("data", "reason"), [(b"", "empty"), (b"no video at all" * 100, "not_a_video")])
def test_reasons(data: bytes, reason: str) -> None:
    assert reason_of(data) == reason


def test_playlists_are_not_followed(tmp_path: Path) -> None:
    clip = tmp_path / "clip.ts"
    clip.write_bytes(video(arrays(scene(1), scene(2))))
    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{clip}\n#EXT-X-ENDLIST\n"
    assert reason_of(playlist.encode()) == "not_a_video"


def test_one_process_serves_many_and_is_replaced_when_it_dies() -> None:
    data = video(arrays(scene(1), scene(2)))
    select_frames(data)
    first = encoders.decoder._decoder()._process
    select_frames(data)
    second = encoders.decoder._decoder()._process
    assert first is not None
    assert second is first
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    assert len(select_frames(data)) == 2


def test_a_hanging_decoder_is_a_timeout() -> None:
    data = video(arrays(scene(1), scene(2)))
    select_frames(data)
    process = encoders.decoder._decoder()._process
    assert process is not None
    os.kill(process.pid, signal.SIGSTOP)
    with pytest.raises(ContentError) as caught:
        select_frames(data, timeout_seconds=0.3)
    assert caught.value.reason == "timeout"
    assert len(select_frames(data)) == 2


def test_a_cut_begins_a_scene_and_movement_does_not() -> None:
    moved = scene(1).transform(SIZE, Image.Transform.AFFINE, (1, 0, 12, 0, 1, 5))
    assert scenes([measure(picture) for picture in (scene(1), moved, scene(2), scene(2))]) == [0, 0, 1, 1]
    assert scenes([]) == []


def test_a_dark_a_dull_and_a_blurred_frame_score_less() -> None:
    good = scene(1)
    dark = good.point(lambda level: level // 6)
    dull = Image.blend(good, Image.new("RGB", SIZE, (128, 128, 128)), 0.9)
    blurred = good.filter(ImageFilter.GaussianBlur(4))
    best = measure(good).score
    assert 0.3 < best <= 1
    assert all(measure(worse).score < 0.7 * best for worse in (dark, dull, blurred))


def test_long_scenes_give_more_frames_and_each_its_best() -> None:
    seconds = [float(second) for second in range(10)]
    scores = [0.1, 0.9, 0.2, 0.2, 0.2, 0.3, 0.1, 0.8, 0.5, 0.6]
    numbers = [0, 0, 1, 1, 1, 1, 1, 1, 2, 2]
    assert pick(seconds, scores, numbers, 4) == [1, 2, 7, 9]
    assert pick(seconds, scores, numbers, 1) == [7]
    assert pick(seconds[:2], scores[:2], [0, 1], 4) == [0, 1]
    assert pick([], [], [], 4) == []


def test_an_hour_is_looked_at_from_end_to_end() -> None:
    pictures = [np.asarray(scene(seed).resize((64, 48))) for seed in range(40)]
    frames = select_frames(video([pictures[i // 9] for i in range(360)], rate=Fraction(1, 10)), count=4)
    assert [int(frame.seconds // 900) for frame in frames] == [0, 1, 2, 3]
    assert all(0 < frame.score <= 1 for frame in frames)


def test_spread_takes_the_sharpest_of_each_part() -> None:
    assert spread([0, 1, 2, 3, 4, 5, 6, 7, 8], [1, 5, 1, 1, 1, 1, 1, 1, 9], 2) == [1, 8]
    assert spread([0.0], [1.0], 4) == [0]
    assert spread([], [], 4) == []


def test_real_film() -> None:
    folder = Path(os.environ.get("MMFS_TEST_DATA", "../shared/data"))
    film = folder / "video" / "bigbuckbunny.mp4"
    if not film.is_file():
        pytest.skip(f"{film} is absent: set MMFS_TEST_DATA")
    frames = select_frames(film.read_bytes(), count=4)
    assert len(frames) == 4
    assert [frame.seconds for frame in frames] == sorted({frame.seconds for frame in frames})


def reason_of(data: bytes) -> str:
    with pytest.raises(ContentError) as caught:
        select_frames(data)
    return caught.value.reason
