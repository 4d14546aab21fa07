"""`HeadsSpec`: what heads on a text encoder are, without loading them. It travels; the heads do not."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from encoders.errors import EncoderChecksumError, EncoderError, EncoderFilesMissingError
from encoders.spec import EncoderSpec

HERE = Path(__file__).resolve().parent
BUNDLED = "bundled:"
VERSION = "2"
"""Of the heads that come with the project: raised with their weights and with the rules that read them."""


@dataclass(frozen=True)
class HeadsSpec:
    """Identity of one version of heads; JSON-serialisable.

    Attributes:
        name: short name, part of the key ("e5-small-heads").
        version: what one version says never mixes with what another says.
        uri: `bundled:e5-small`, or `file:` and the path of a safetensors file.
        checksum: "sha256:…" of the file.
        encoder_checksum: of the weights of the encoder whose vectors the heads read.
    """

    name: str
    version: str
    uri: str
    checksum: str
    encoder_checksum: str

    @property
    def key(self) -> str:
        """`name/version`, the identity under which judgements are stored."""
        return f"{self.name}/{self.version}"

    @property
    def path(self) -> Path:
        """Where the weights lie on this machine."""
        kind, _, rest = self.uri.partition(":")
        return HERE / f"{rest}.safetensors" if kind == "bundled" else Path(rest)

    def to_json(self) -> str:
        """One line of JSON with sorted keys: equal specs give equal text."""
        return json.dumps(asdict(self), ensure_ascii=False, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> HeadsSpec:
        """Inverse of `to_json`. Raises EncoderError for other text."""
        try:
            values = json.loads(text)
            return cls(**{field.name: values.pop(field.name) for field in fields(cls)}, **values)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise EncoderError(f"not a spec of heads in JSON ({error})") from error

    def require_on(self, encoder: EncoderSpec) -> None:
        """Raises EncoderChecksumError where the heads were trained on vectors of other weights than an encoder's."""
        if self.encoder_checksum != encoder.checksum:
            raise EncoderChecksumError(
                f"heads {self.key} were trained on {self.encoder_checksum}, {encoder.key} is "
                f"{encoder.checksum or 'of unknown weights'}: train the heads anew"
            )


def resolve_heads(uri: str, *, name: str | None = None, version: str = VERSION) -> HeadsSpec:
    """The spec of heads by `bundled:<encoder>` or `file:<path>`, from their file.

    Raises EncoderFilesMissingError where there is none; EncoderError where the file holds no heads.
    """
    # Imported late: manifests are read where there are no models.
    from safetensors import SafetensorError, safe_open

    spec = HeadsSpec("", version, uri, "", "")
    try:
        checksum = "sha256:" + hashlib.sha256(spec.path.read_bytes()).hexdigest()
        with safe_open(spec.path, framework="numpy") as file:
            metadata = file.metadata() or {}
    except OSError as error:
        raise EncoderFilesMissingError(f"no heads at {uri} ({error.strerror or error})") from error
    except SafetensorError as error:
        raise EncoderError(f"{uri} is no safetensors file ({error})") from error
    if "encoder_checksum" not in metadata:
        raise EncoderError(f"{uri} does not say on which encoder's vectors it was trained: make it with heads.train")
    named = name or f"{metadata['encoder'].partition('/')[0]}-heads"
    return HeadsSpec(named, version, uri, checksum, metadata["encoder_checksum"])


def heads_for(encoder: EncoderSpec) -> HeadsSpec | None:
    """The heads that come with the project for an encoder; None where there are none."""
    if not encoder.uri.startswith(BUNDLED) or not HeadsSpec("", "", encoder.uri, "", "").path.exists():
        return None
    return resolve_heads(encoder.uri)
