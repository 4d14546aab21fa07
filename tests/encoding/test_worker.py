"""What a worker does with rows, without Spark: one bad content costs itself only, a broken encoder the job."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from PIL import Image

from encoders.spec import EncoderSpec
from pipelines.encoding import worker
from pipelines.encoding.worker import encode_rows
from tests.encoding.drawn import picture


class MeanColour:
    """A real, tiny encoder: a picture's mean colour, a text's letters. Refuses what it is told to."""

    spec = EncoderSpec("mean-colour", "1", "test:", ("image", "text"), 3, "", "")

    picture_side = 8

    def __init__(self, refuses: str = "\0") -> None:
        self.refuses = refuses
        self.batches: list[int] = []

    def encode_images(self, images: list[Image.Image]) -> np.ndarray:
        self.batches.append(len(images))
        return np.array([np.asarray(image).reshape(-1, 3).mean(axis=0) for image in images], dtype=np.float32)

    def encode_texts(self, texts: list[str], role: Literal["query", "passage"] = "passage") -> np.ndarray:
        self.batches.append(len(texts))
        if any(self.refuses in text for text in texts):
            raise RuntimeError("shape mismatch")
        return np.array([[len(text), 1, role == "query"] for text in texts], dtype=np.float32)


def _texts(*texts: str) -> list[dict[str, object]]:
    return [{"content_hash": t, "modality": "query", "paths": None, "text": t, "attempts": 0} for t in texts]


def _run(rows: list[dict[str, object]], encoder: MeanColour) -> dict[object, worker.Item]:
    items = [item for batch in encode_rows(iter(rows), lambda: encoder) for item in batch]
    assert len(items) == len(rows)
    return {item.row["content_hash"]: item for item in items}


def test_one_refused_text_costs_itself_only() -> None:
    items = _run(_texts("shoes", "bad", "dress"), MeanColour(refuses="bad"))
    assert items["bad"].reason == "encoder_failed"
    assert items["shoes"].vector is not None
    assert items["dress"].vector is not None
    np.testing.assert_allclose(np.linalg.norm(items["dress"].vector), 1, atol=1e-6)


def test_an_encoder_that_refuses_everything_stops_the_job() -> None:
    with pytest.raises(RuntimeError, match="shape mismatch"):
        _run(_texts(*(f"bad {i}" for i in range(20))), MeanColour(refuses="bad"))


def test_no_encoder_is_loaded_for_what_cannot_be_decoded() -> None:
    def load() -> MeanColour:
        raise AssertionError("loaded")

    items = [item for batch in encode_rows(iter(_texts("", " ")), load) for item in batch]
    assert [item.reason for item in items] == ["no_text", "no_text"]


def test_pictures_go_to_the_model_in_bounded_batches(tmp_path: Path) -> None:
    import hashlib

    rows: list[dict[str, object]] = []
    for i in range(worker.IMAGES_AT_ONCE + 5):
        data = picture(i, (24, 24))
        (tmp_path / str(i)).write_bytes(data)
        places = [str(tmp_path / "gone"), str(tmp_path / str(i))]
        rows.append(
            {"content_hash": hashlib.sha256(data).hexdigest(), "modality": "image", "paths": places, "text": None}
        )
    encoder = MeanColour()
    items = _run(rows, encoder)
    assert all(item.vector is not None for item in items.values())
    assert encoder.batches == [worker.IMAGES_AT_ONCE, 5]
