"""`EncoderSpec`: what an encoder is, without loading it. It travels; the `Encoder` does not."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from encoders.errors import EncoderError


@dataclass(frozen=True)
class EncoderSpec:
    """Identity and promises of one encoder version; picklable and JSON-serialisable.

    Attributes:
        name: short name, part of the key ("compact-clip").
        version: version of the encoder in this store; vectors of different versions never mix.
        uri: where it comes from, see `encoders.resolve`.
        modalities: what it accepts: "image" and/or "text".
        dimensions: length of its vectors.
        checksum: "sha256:..." over the weights, or "" where they are not on this machine yet.
        licence: of the weights, SPDX where there is one.
        preprocessing: what is done to content before the model, for the record.
        description: one line.
        model_card: the card's place, relative to the project or as a URL, or None.
    """

    name: str
    version: str
    uri: str
    modalities: tuple[str, ...]
    dimensions: int
    checksum: str
    licence: str
    preprocessing: dict[str, Any] = field(default_factory=dict, hash=False)
    description: str = ""
    model_card: str | None = None

    @property
    def key(self) -> str:
        """`name/version`, the identity under which vectors are stored."""
        return f"{self.name}/{self.version}"

    def to_json(self) -> str:
        """One line of JSON with sorted keys: equal specs give equal text."""
        return json.dumps(asdict(self), ensure_ascii=False, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> EncoderSpec:
        """Inverse of `to_json`.

        Raises:
            EncoderError: the text is no JSON object with this class's fields.
        """
        names = {item.name for item in fields(cls)}
        try:
            values = json.loads(text)
            unknown = sorted(set(values) - names)
            if unknown:
                raise EncoderError(f"encoder spec has unknown fields {unknown}; expected {sorted(names)}")
            values["modalities"] = tuple(values["modalities"])
            return cls(**values)
        except (ValueError, TypeError, KeyError) as error:
            raise EncoderError(f"not an encoder spec in JSON ({error}); make one with EncoderSpec.to_json") from error


def resolve(
    uri: str,
    *,
    name: str | None = None,
    version: str = "1",
    dimensions: int | None = None,
) -> EncoderSpec:
    """Describe the encoder that `uri` names, from configuration alone; see `encoders.catalogue`.

    `dimensions` is needed only for a sentence-transformers model that is not on this machine;
    everywhere else it is checked. A directory's weights are hashed.

    Raises:
        UnknownEncoderError: no such kind, model, tag or directory.
        EncoderDimensionError: `dimensions` is not what the configuration says, or is needed.
        EncoderFilesMissingError: a directory lacks its configuration or weights.
    """
    from encoders.catalogue import describe

    found = describe(uri, dimensions)
    default_name = found.pop("default_name")
    return EncoderSpec(name=name or default_name, version=version, uri=uri, **found)
