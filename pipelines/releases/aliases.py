"""MLflow's alias `champion` follows the pin: the encoders of the default release have it, and no others."""

from __future__ import annotations

from collections.abc import Iterator

from pipelines.errors import EncoderMismatchError
from pipelines.releases.manifest import Release
from pipelines.releases.mlflow_client import mlflow_client
from pipelines.releases.model_uris import model_uris
from pipelines.releases.registry import CHAMPION, RegisteredEncoder, identity, registered_encoders
from pipelines.settings import Settings


def alias_faults(default: Release, settings: Settings) -> list[str]:
    """What MLflow says otherwise than the default release, a sentence each.

    Raises EncoderMismatchError where a name and version are registered for other weights, PipelineError where MLflow
    does not answer.
    """
    known = {(encoder.name, encoder.version): encoder for encoder in registered_encoders(settings)}
    kept, faults = model_uris(settings), []
    for spec in default.encoders.values():
        found = known.get((spec.name, spec.version))
        if found is None:
            faults.append(f"encoder {spec.key} of release {default.name} is not registered")
            continue
        if found.facts["identity"] != identity(spec):
            raise EncoderMismatchError(
                f"{found.uri} is registered as {spec.key} with other weights or preprocessing than release "
                f"{default.name} has"
            )
        if CHAMPION not in found.aliases:
            faults.append(f"{found.uri} ({spec.key}) is of the default release and is not called {CHAMPION}")
        if kept.get(spec.key) != found.uri:
            faults.append(f"{spec.key} is {found.uri}, the home says {kept.get(spec.key, 'nothing of it')}")
    return [*faults, *_others(default, list(known.values()))]


def withdraw_other_champions(default: Release, settings: Settings) -> None:
    """Nothing but the default release's encoders stays champion."""
    with mlflow_client(settings) as client:
        for encoder in _foreign(default, registered_encoders(settings)):
            client.delete_registered_model_alias(encoder.name, CHAMPION)


def _others(default: Release, known: list[RegisteredEncoder]) -> Iterator[str]:
    for encoder in _foreign(default, known):
        yield f"{encoder.uri} is called {CHAMPION}, which release {default.name} does not have"


def _foreign(default: Release, known: list[RegisteredEncoder]) -> list[RegisteredEncoder]:
    """Champions under names that the default release does not have: where it has the name, the alias was moved."""
    names = {spec.name for spec in default.encoders.values()}
    return [encoder for encoder in known if CHAMPION in encoder.aliases and encoder.name not in names]
