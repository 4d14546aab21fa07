"""The whole error tree of `encoders`.

EncoderError
├── UnknownEncoderError       the URI names no encoder that is known here
├── EncoderDimensionError     declared and actual vector length differ
├── EncoderFilesMissingError  a bundled encoder has not been built yet
├── EncoderChecksumError      the weights on disk are not those of the spec
├── NotTunableError           an encoder whose last layers cannot be trained apart from the rest
└── ContentError              one picture, video or text cannot be used; carries a short reason
"""

from __future__ import annotations


class EncoderError(Exception):
    """Base of every error raised on purpose by this package; one line, says what to do."""


class UnknownEncoderError(EncoderError):
    """The URI or its parts name no encoder."""


class EncoderDimensionError(EncoderError):
    """The declared number of dimensions is not what the encoder gives."""


class EncoderFilesMissingError(EncoderError):
    """Files that set-up builds are absent."""


class EncoderChecksumError(EncoderError):
    """The weights found differ from those the spec was made from."""


class NotTunableError(EncoderError):
    """An encoder that cannot be fine-tuned here."""


REASONS = frozenset(
    {
        "empty",
        "too_large",
        "not_an_image",
        "truncated",
        "decompression_bomb",
        "unsupported_format",
        "not_a_video",
        "no_frames",
        "no_usable_frame",
        "timeout",
        "decoder_crashed",
        "no_text",
        "missing",
    }
)


class ContentError(EncoderError):
    """One piece of content cannot be turned into a vector.

    `reason` is one of `REASONS`: short, stable, fit for a status column and for grouping.
    `detail` is for a person and never holds the content itself.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        if reason not in REASONS:
            raise ValueError(f"unknown content reason {reason!r}; expected one of {sorted(REASONS)}")
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}" if self.detail else self.reason
