"""A sentence-transformers model as an `Encoder`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image

from encoders.errors import EncoderError, UnknownEncoderError
from encoders.spec import EncoderSpec

# Tokens per batch, padding included: activations of about this many stay in the cache of a core.
_TOKENS_AT_ONCE = 2048
# Models without attention (static embeddings) pad nothing and have no activations to speak of.
_STATIC_BATCH = 1024
_PROMPT_NAMES = {"query": ("query",), "passage": ("passage", "document")}


class SentenceEncoder:
    """Texts only. Texts of about the same number of tokens share a batch, so that little padding is computed."""

    picture_side = 0

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
        self._model.eval().requires_grad_(False)
        self._attends = any(isinstance(module, torch.nn.Linear) for module in self._model.modules())
        if self._attends and _multiplies_bfloat16():
            self._model.to(torch.bfloat16)

    def encode_images(self, images: list[Image.Image]) -> np.ndarray:
        """Always an error: this encoder reads text."""
        raise EncoderError(f"{self.spec.key} encodes text only: use an open-clip encoder for pictures")

    def encode_texts(self, texts: list[str], role: Literal["query", "passage"] = "passage") -> np.ndarray:
        """Texts -> (n, dimensions) float32 of unit length, prompted by `role` where it has prompts."""
        vectors = np.zeros((len(texts), self.spec.dimensions), dtype=np.float32)
        prompts = self._model.prompts or {}
        prompt = next((prompts[name] for name in _PROMPT_NAMES[role] if prompts.get(name)), None)
        for rows in self._batches(texts):
            with torch.inference_mode():
                features = self._model.preprocess([texts[row] for row in rows], prompt=prompt)
                found = self._model(features)["sentence_embedding"]
            unit = torch.nn.functional.normalize(found.float(), dim=-1).numpy()
            if unit.shape[1] != vectors.shape[1]:
                vectors = np.zeros((len(texts), unit.shape[1]), dtype=np.float32)
            vectors[rows] = unit
        return vectors

    def _batches(self, texts: list[str]) -> Iterator[list[int]]:
        """Places of texts in batches, longest first: the largest activations are allocated once."""
        if not self._attends:
            yield from (
                list(range(start, min(start + _STATIC_BATCH, len(texts))))
                for start in range(0, len(texts), _STATIC_BATCH)
            )
            return
        lengths = self._token_counts(texts)
        yield from batches_of_tokens(lengths, _TOKENS_AT_ONCE)

    def _token_counts(self, texts: list[str]) -> list[int]:
        longest = int(self._model.max_seq_length or 512)
        if not texts:
            return []
        return [min(len(ids), longest) for ids in self._model.tokenizer(texts, verbose=False)["input_ids"]]


def batches_of_tokens(lengths: Sequence[int], tokens: int) -> Iterator[list[int]]:
    """Places of `lengths`, longest first, in batches of at most `tokens` when all are padded to the longest; a
    batch has at least one."""
    order = sorted(range(len(lengths)), key=lambda place: -lengths[place])
    start = 0
    while start < len(order):
        size = max(1, tokens // max(1, lengths[order[start]]))
        yield order[start : start + size]
        start += size


def _multiplies_bfloat16() -> bool:
    """Whether this CPU multiplies bfloat16 matrices in hardware; emulated, it is several times slower than float32."""
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported()) and bool(torch.cpu._is_amx_tile_supported())
