"""An encoder that is named for a comparison: which version it has in the home's registry, or would get there."""

from __future__ import annotations

import dataclasses
import re

from encoders.spec import EncoderSpec, resolve
from pipelines.errors import EncoderMismatchError, SettingsError
from pipelines.releases.model_uris import REGISTERED
from pipelines.releases.registry import RegisteredEncoder, identity, registered_encoders
from pipelines.settings import Settings

_REGISTERED = re.compile(REGISTERED)


def candidate(named: str, settings: Settings) -> EncoderSpec:
    """The spec of an encoder by URI as in the settings, or by MLflow's (`models:/compact-clip/1`, `…@champion`).

    An encoder that the registry knows keeps its version; another of the same name gets the next number. Nothing is
    registered. Raises EncoderError; EncoderMismatchError where a registered encoder's files were changed since;
    SettingsError for a version or alias that does not exist.
    """
    known = registered_encoders(settings)
    if named.startswith("models:"):
        return _registered(named, known)
    spec = resolve(named)
    return _with_version(spec, [encoder for encoder in known if encoder.name == spec.name])


def with_version_here(spec: EncoderSpec, settings: Settings) -> EncoderSpec:
    """An encoder of another home: by the version it has here, else by its own, or the next number where that is taken.

    Nothing is registered.
    """
    same_name = [encoder for encoder in registered_encoders(settings) if encoder.name == spec.name]
    return _with_version(spec, same_name) if same_name else spec


def _with_version(spec: EncoderSpec, same_name: list[RegisteredEncoder]) -> EncoderSpec:
    found = next((e for e in same_name if e.facts["identity"] == identity(spec)), None)
    if found is not None:
        return dataclasses.replace(spec, version=found.version)
    if spec.version not in {encoder.version for encoder in same_name}:
        return spec
    numbers = [int(e.version) for e in same_name if e.version.isdecimal()]
    return dataclasses.replace(spec, version=str(max(numbers, default=0) + 1))


def _registered(named: str, known: list[RegisteredEncoder]) -> EncoderSpec:
    asked = _REGISTERED.fullmatch(named)
    found = next(
        (
            e
            for e in known
            if asked and e.name == asked["name"] and (e.number == asked["number"] or asked["alias"] in e.aliases)
        ),
        None,
    )
    if found is None:
        there = ", ".join(encoder.uri for encoder in known) or "none"
        raise SettingsError(f"no registered encoder {named}; there: {there}")
    spec = resolve(
        found.facts["uri"], name=found.name, version=found.version, dimensions=int(found.facts["dimensions"])
    )
    if found.facts["identity"] != identity(spec):
        raise EncoderMismatchError(
            f"{found.uri}: {spec.uri} now has the checksum {spec.checksum or 'unknown'}, registered was "
            f"{found.facts['checksum'] or 'none'}; restore its files, or name the changed ones by their own URI"
        )
    return spec
