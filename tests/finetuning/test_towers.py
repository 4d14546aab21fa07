"""Cut in two and put together again an encoder gives the same vectors, and its directory the trained ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from encoders.bundled import prepared_directory
from encoders.clip_encoder import ClipEncoder
from encoders.errors import NotTunableError
from encoders.finetuning.model import WEIGHTS, Material, TunableClip
from encoders.finetuning.towers import PictureTower
from encoders.spec import resolve
from pipelines.settings import PROJECT_ROOT
from tests.finetuning.tiny_clip import tiny_clip

TEXTS = ["red shoes", "蓝色的连衣裙", "a pair of running shoes for children"]


def pictures() -> list[Image.Image]:
    rng = np.random.default_rng(1)
    return [Image.fromarray(rng.integers(0, 255, (40, 30, 3), dtype=np.uint8)) for _ in range(3)]


def encoder(folder: Path) -> ClipEncoder:
    return ClipEncoder(resolve(f"open-clip:{folder}"), str(folder))


@pytest.fixture(params=["tiny", "bundled"])
def directory(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    if request.param == "tiny":
        return tiny_clip(tmp_path / "tiny")
    return prepared_directory("compact-clip", PROJECT_ROOT / ".cache")


def test_it_is_the_same_cut_trained_and_written(directory: Path, tmp_path: Path) -> None:
    model, whole = TunableClip(directory), encoder(directory)
    features = model.picture_features(pictures())
    # The second content has two pictures, of which the vector is the mean's direction.
    material = Material(features, torch.tensor([[0, -1], [1, 2]]), model.text_inputs(TEXTS))
    adapters = model.adapters(material)
    expected = whole.encode_images(pictures())
    both = expected[1] + expected[2]
    np.testing.assert_allclose(adapters.all_contents()[0], expected[0], atol=1e-4)
    np.testing.assert_allclose(adapters.all_contents()[1], both / np.linalg.norm(both), atol=1e-4)
    np.testing.assert_allclose(adapters.all_texts(), whole.encode_texts(TEXTS), atol=1e-4)
    with torch.no_grad():
        for parameter in adapters.named_parameters().values():
            parameter.add_(0.05 * parameter.abs().mean() * torch.randn(parameter.shape))
    model.write(tmp_path / "tuned", adapters)
    tuned = encoder(tmp_path / "tuned")
    # Weights are kept in 16 bits, as they were.
    np.testing.assert_allclose(tuned.encode_images(pictures())[0], adapters.all_contents()[0], atol=2e-3)
    np.testing.assert_allclose(tuned.encode_texts(TEXTS), adapters.all_texts(), atol=2e-3)
    assert np.abs(tuned.encode_images(pictures()) - expected).max() > 1e-3
    before, after = load_file(directory / WEIGHTS), load_file(tmp_path / "tuned" / WEIGHTS)
    assert {n: (t.shape, t.dtype) for n, t in before.items()} == {n: (t.shape, t.dtype) for n, t in after.items()}


def test_only_token_vectors_of_the_texts_are_trained() -> None:
    directory = prepared_directory("compact-clip", PROJECT_ROOT / ".cache")
    model = TunableClip(directory)
    material = Material(model.picture_features(pictures()), torch.tensor([[0]]), model.text_inputs(TEXTS))
    parameters = model.adapters(material).named_parameters()
    words = parameters["text.transformer.embeddings.word_embeddings.weight"]
    assert words.shape[0] < 40


def test_a_tower_without_a_projection_is_refused() -> None:
    model = torch.nn.Module()
    model.visual = torch.nn.Linear(2, 2)
    with pytest.raises(NotTunableError, match="no projection after pooling"):
        PictureTower(model, None)
