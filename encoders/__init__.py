"""Turning pictures, videos and texts into vectors. Knows nothing of Spark, Feast or MLflow.

spec = resolve("bundled:compact-clip")
encoder = encoders.load.load(spec)
vectors = encoder.encode_images([decode_image(data)])
"""

from encoders.errors import (
    ContentError,
    EncoderChecksumError,
    EncoderDimensionError,
    EncoderError,
    EncoderFilesMissingError,
    UnknownEncoderError,
)
from encoders.spec import EncoderSpec, resolve

__all__ = [
    "ContentError",
    "EncoderChecksumError",
    "EncoderDimensionError",
    "EncoderError",
    "EncoderFilesMissingError",
    "EncoderSpec",
    "UnknownEncoderError",
    "resolve",
]
