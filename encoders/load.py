"""`EncoderSpec` -> `Encoder`: done once in a worker, used for every batch there."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from PIL import Image

from encoders.bundled import default_cache_dir, prepared_directory, verify_checksum
from encoders.errors import EncoderDimensionError, UnknownEncoderError
from encoders.spec import EncoderSpec

Role = Literal["query", "passage"]

WORKER_ENVIRONMENT: dict[str, str] = {
    # glibc otherwise maps and unmaps every activation: more than half of a conv trunk's time.
    "MALLOC_MMAP_THRESHOLD_": "4294967296",
    "MALLOC_TRIM_THRESHOLD_": "8589934592",
    "MALLOC_TOP_PAD_": "268435456",
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_DISABLE_TELEMETRY": "1",
}
"""What a worker's environment must hold before its process starts; later is too late."""


class Encoder(Protocol):
    """A loaded encoder. Vectors are float32 of unit length.

    A vector depends on its own content only, up to rounding: between batches of other size or
    company, cosine to itself stays above 0.999.
    """

    spec: EncoderSpec
    picture_side: int
    """Pixels along a side of the model's input; 0 where it takes no pictures."""

    def encode_images(self, images: list[Image.Image]) -> np.ndarray:
        """RGB pictures -> (n, dimensions)."""
        ...

    def encode_texts(self, texts: list[str], role: Role = "passage") -> np.ndarray:
        """Texts in normalised form -> (n, dimensions); `role` matters to encoders with prompts."""
        ...


def load(spec: EncoderSpec, *, threads: int = 1, cache_dir: Path | None = None) -> Encoder:
    """Load the weights and check that they are what `spec` says.

    `threads` sets torch's threads in this whole process: threads × tasks = cores.
    `cache_dir` is where set-up put the bundled encoders (default: `default_cache_dir()`).

    Raises:
        UnknownEncoderError, EncoderFilesMissingError, EncoderChecksumError, EncoderDimensionError.
    """
    import torch

    torch.set_num_threads(threads)
    kind, _, rest = spec.uri.partition(":")
    encoder = _open(spec, kind, rest, cache_dir or default_cache_dir())
    length = encoder.encode_texts(["a"]).shape[1]
    if length != spec.dimensions:
        raise EncoderDimensionError(
            f"{spec.uri}: declared {spec.dimensions} dimensions but its vectors have {length}: "
            f"resolve it anew with dimensions={length}"
        )
    return encoder


def _open(spec: EncoderSpec, kind: str, rest: str, cache_dir: Path) -> Encoder:
    from encoders.clip_encoder import ClipEncoder
    from encoders.sentence_encoder import SentenceEncoder

    if kind == "bundled":
        directory = prepared_directory(rest, cache_dir)
        weights = next(directory.glob("*.safetensors"))
        verify_checksum(weights, spec.checksum)
        return (ClipEncoder if rest == "compact-clip" else SentenceEncoder)(spec, str(directory))
    if kind == "open-clip":
        return ClipEncoder(spec, rest)
    if kind == "sentence-transformers":
        return SentenceEncoder(spec, rest)
    raise UnknownEncoderError(f"unknown encoder {spec.uri!r}: make the spec with encoders.resolve")
