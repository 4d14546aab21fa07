import pickle
from pathlib import Path

import pytest

from encoders.bundled import BUNDLED
from encoders.errors import EncoderDimensionError, EncoderError, EncoderFilesMissingError, UnknownEncoderError
from encoders.load import load
from encoders.spec import EncoderSpec, resolve


def test_round_trips() -> None:
    spec = resolve("bundled:e5-small", version="3")
    assert spec.key == "e5-small/3"
    assert EncoderSpec.from_json(spec.to_json()) == spec
    assert pickle.loads(pickle.dumps(spec)) == spec
    assert "\n" not in spec.to_json()


@pytest.mark.parametrize("text", ["{}", "[]", "nonsense", '{"name": 1, "colour": 2}'])
def test_not_a_spec(text: str) -> None:
    with pytest.raises(EncoderError):
        EncoderSpec.from_json(text)


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "clip",
        "magic:wand",
        "bundled:",
        "bundled:nothing",
        "open-clip:NoSuchModel/openai",
        "open-clip:ViT-B-32/no-such-tag",
        "open-clip:/no/such/directory",
        "sentence-transformers:/no/such/directory",
    ],
)
def test_unknown_encoder(uri: str) -> None:
    with pytest.raises(UnknownEncoderError) as caught:
        resolve(uri)
    assert "\n" not in str(caught.value)


def test_declared_dimensions_are_checked() -> None:
    with pytest.raises(EncoderDimensionError, match=r"declared 100 dimensions .* declare 512"):
        resolve("bundled:compact-clip", dimensions=100)
    with pytest.raises(EncoderDimensionError, match="declare them"):
        resolve("sentence-transformers:some/model")
    assert resolve("sentence-transformers:some/model", dimensions=384).dimensions == 384


def test_open_clip_tag() -> None:
    spec = resolve("open-clip:ViT-B-32/openai")
    assert (spec.name, spec.dimensions, spec.modalities) == ("vit-b-32-openai", 512, ("image", "text"))


def test_directory_without_files(tmp_path: Path) -> None:
    for kind in ("open-clip", "sentence-transformers"):
        with pytest.raises(EncoderFilesMissingError):
            resolve(f"{kind}:{tmp_path}")


def test_built_directories_are_ordinary_ones(cache_dir: Path) -> None:
    clip = resolve(f"open-clip:{BUNDLED['compact-clip'].directory(cache_dir)}")
    e5 = resolve(f"sentence-transformers:{BUNDLED['e5-small'].directory(cache_dir)}")
    assert (clip.dimensions, clip.checksum) == (512, resolve("bundled:compact-clip").checksum)
    assert (e5.dimensions, e5.checksum) == (384, resolve("bundled:e5-small").checksum)
    assert load(clip).encode_texts(["a"]).shape == (1, 512)


def test_a_name_that_is_not_here_offline() -> None:
    with pytest.raises(UnknownEncoderError, match="cannot be loaded"):
        load(resolve("sentence-transformers:nobody/nothing", dimensions=3))
