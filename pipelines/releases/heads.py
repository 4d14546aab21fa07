"""Heads that are named for a promotion, or come with a release of another home: which version they have here."""

from __future__ import annotations

import dataclasses

from encoders.errors import EncoderError
from encoders.heads.spec import HeadsSpec, heads_for, resolve_heads
from encoders.spec import EncoderSpec
from pipelines.errors import EncoderMismatchError
from pipelines.releases.pin import known_releases
from pipelines.settings import Settings

_NAMED = "heads:"


def names_heads(named: str) -> bool:
    """Whether what is named for a promotion are heads and no encoder."""
    return named.startswith(_NAMED)


def uri_of(heads: HeadsSpec) -> str:
    """The name under which heads are promoted; inverse of `named_heads`."""
    kind, _, rest = heads.uri.partition(":")
    return f"{_NAMED}{heads.uri}" if kind == "bundled" else f"{_NAMED}{rest}"


def named_heads(named: str, settings: Settings) -> HeadsSpec:
    """`heads:/models/new.safetensors` or `heads:bundled:e5-small`, with the version they have here or would get.

    Raises EncoderError.
    """
    rest = named.removeprefix(_NAMED)
    return with_version_here(resolve_heads(rest if rest.startswith("bundled:") else f"file:{rest}"), settings)


def heads_of_encoder(encoder: EncoderSpec, settings: Settings) -> HeadsSpec | None:
    """The heads that come with an encoder of reviews, with the version they have here; None where none do."""
    found = heads_for(encoder)
    return None if found is None else with_version_here(found, settings)


def with_version_here(heads: HeadsSpec, settings: Settings) -> HeadsSpec:
    """Heads by the version that some release of the home knows them by; else their own, or the next number where that
    is taken."""
    same_name = [r.heads for r in known_releases(settings) if r.heads is not None and r.heads.name == heads.name]
    versions = {known.checksum: known.version for known in same_name}
    if heads.checksum in versions:
        return dataclasses.replace(heads, version=versions[heads.checksum])
    if heads.version not in versions.values():
        return heads
    numbers = [int(version) for version in versions.values() if version.isdecimal()]
    return dataclasses.replace(heads, version=str(max(numbers, default=0) + 1))


def require_unchanged_heads(heads: HeadsSpec) -> None:
    """Raises EncoderMismatchError where the file of heads is gone, or not what their spec says."""
    try:
        now = resolve_heads(heads.uri)
    except EncoderError as error:
        raise EncoderMismatchError(f"heads {heads.key}: {error}") from error
    if now.checksum != heads.checksum:
        raise EncoderMismatchError(
            f"heads {heads.key}: {heads.uri} has the checksum {now.checksum}, the release says {heads.checksum}; "
            "restore the file"
        )
