"""A sentence-transformers model as an `Encoder`."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch
from PIL import Image

from encoders.errors import EncoderError, UnknownEncoderError
from encoders.spec import EncoderSpec

_BATCH = 32
_PROMPT_NAMES = {"query": ("query",), "passage": ("passage", "document")}


class SentenceEncoder:
    """Texts only. Texts are sorted by length into batches, so that little padding is computed."""

    def __init__(self, spec: EncoderSpec, name_or_directory: str) -> None:
        from sentence_transformers import SentenceTransformer
        from transformers.utils import logging

        logging.disable_progress_bar()

        self.spec = spec
        try:
            self._model: Any = SentenceTransformer(
                name_or_directory, device="cpu", model_kwargs={"use_safetensors": True}
            )
        except (OSError, ValueError) as error:
            reason = str(error).splitlines()[0][:160]
            raise UnknownEncoderError(
                f"{spec.uri} cannot be loaded ({reason}): check its name, or give a saved directory"
            ) from error
        self._model.eval()

    def encode_images(self, images: list[Image.Image]) -> np.ndarray:
        """Always an error: this encoder reads text."""
        raise EncoderError(f"{self.spec.key} encodes text only: use an open-clip encoder for pictures")

    def encode_texts(self, texts: list[str], role: Literal["query", "passage"] = "passage") -> np.ndarray:
        """Texts -> (n, dimensions) float32 of unit length, prompted by `role` where it has prompts."""
        if not texts:
            return np.zeros((0, self.spec.dimensions), dtype=np.float32)
        prompts = self._model.prompts or {}
        prompt = next((prompts[name] for name in _PROMPT_NAMES[role] if prompts.get(name)), None)
        with torch.inference_mode():
            vectors = self._model.encode(
                texts, prompt=prompt, batch_size=_BATCH, convert_to_tensor=True, show_progress_bar=False
            )
        unit = torch.nn.functional.normalize(vectors.float(), dim=-1)
        return unit.cpu().numpy()
