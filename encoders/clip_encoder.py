"""An open_clip model as an `Encoder`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image

from encoders.errors import UnknownEncoderError
from encoders.spec import EncoderSpec

_IMAGE_BATCH = 32
_TEXT_BATCH = 256


class ClipEncoder:
    """Pictures and texts in one space, in float32.

    bfloat16 autocast leaves only 0.9990 cosine to float32 on the bundled model (asked for: 0.9995)
    and is many times slower on CPUs without hardware for it.
    """

    def __init__(self, spec: EncoderSpec, rest: str) -> None:
        self.spec = spec
        self._model, self._preprocess, self._tokenizer = _open(spec, rest)
        self._model.eval().requires_grad_(False)
        visual = self._model.visual
        self.picture_side = picture_side(self._model)
        convolutional = any(isinstance(module, torch.nn.Conv2d) for module in list(visual.modules())[8:])
        self._layout = torch.channels_last if convolutional else torch.contiguous_format
        visual.to(memory_format=self._layout)

    def encode_images(self, images: list[Image.Image]) -> np.ndarray:
        """RGB pictures -> (n, dimensions) float32 of unit length."""
        parts = []
        for start in range(0, len(images), _IMAGE_BATCH):
            batch = torch.stack([self._preprocess(image) for image in images[start : start + _IMAGE_BATCH]])
            with torch.inference_mode():
                vectors = self._model.encode_image(batch.contiguous(memory_format=self._layout))
            parts.append(torch.nn.functional.normalize(vectors.float(), dim=-1).numpy())
        return self._joined(parts)

    def encode_texts(self, texts: list[str], role: Literal["query", "passage"] = "passage") -> np.ndarray:
        """Texts -> (n, dimensions) float32 of unit length; CLIP has one tower for both roles."""
        parts = []
        for start in range(0, len(texts), _TEXT_BATCH):
            with torch.inference_mode():
                vectors = self._model.encode_text(self._tokenizer(texts[start : start + _TEXT_BATCH]))
            parts.append(torch.nn.functional.normalize(vectors.float(), dim=-1).numpy())
        return self._joined(parts)

    def _joined(self, parts: list[np.ndarray]) -> np.ndarray:
        return np.concatenate(parts) if parts else np.zeros((0, self.spec.dimensions), dtype=np.float32)


def _open(spec: EncoderSpec, rest: str) -> tuple[Any, Any, Any]:
    import open_clip

    if Path(rest).is_absolute():
        return open_directory(rest)
    model_name, _, tag = rest.rpartition("/")
    try:
        model, _, preprocess = open_clip.create_model_and_transforms(model_name, pretrained=tag, device="cpu")
    except (OSError, RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0][:160]
        raise UnknownEncoderError(
            f"{spec.uri} cannot be loaded ({reason}): fetch its weights here, or give an open_clip directory"
        ) from error
    return model, preprocess, open_clip.get_tokenizer(model_name)


def picture_side(model: Any) -> int:
    """Pixels along the longer side of an open_clip model's input."""
    return int(np.max(model.visual.image_size))


def open_directory(directory: str) -> tuple[Any, Any, Any]:
    """Load a directory in open_clip's format without any download."""
    import json

    import open_clip

    config = json.loads((Path(directory) / "open_clip_config.json").read_text(encoding="utf-8"))
    text = dict(config["model_cfg"].get("text_cfg", {}))
    if "hf_model_name" in text:
        # open_clip does not look for the text tower's configuration beside its own.
        text["hf_model_name"] = directory
    name = f"local-dir:{directory}"
    model, _, preprocess = open_clip.create_model_and_transforms(name, text_cfg=text, device="cpu")
    return model, preprocess, open_clip.get_tokenizer(name)
