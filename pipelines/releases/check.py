"""May a registered model be given features of this home? Only those of the release that it learned from."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipelines.errors import ModelLineageError, ReleaseMismatchError
from pipelines.releases.lineage import Lineage
from pipelines.releases.manifest import Release
from pipelines.releases.mlflow_client import mlflow_client
from pipelines.releases.model_uris import REGISTERED
from pipelines.releases.pin import live_releases
from pipelines.settings import Settings

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

_NAMED = re.compile(REGISTERED)


@dataclass(frozen=True)
class Checked:
    """A model version, its alias resolved, and the live release whose services may serve it."""

    uri: str
    lineage: Lineage
    release: str

    @property
    def services(self) -> tuple[str, ...]:
        """The services to ask, with the release in their names."""
        return tuple(f"{service}_{self.release}" for service in self.lineage.services)

    def __str__(self) -> str:
        known = f"{self.uri} learned from release {self.lineage.release}"
        called = "" if self.release == self.lineage.release else f", here called {self.release}"
        return f"{known}{called}: serve it {', '.join(self.services)}"


def check_model(settings: Settings, uri: str) -> Checked:
    """A registered model by `models:/name/1` or `models:/name@alias`, checked against the live releases.

    Raises ModelLineageError for a model that is not there or does not say what it learned from, ReleaseMismatchError
    where its release is not live, HomeEmptyError, and PipelineError where MLflow does not answer.
    """
    releases = live_releases(settings)
    with mlflow_client(settings) as client:
        version = model_version(client, uri)
    found = f"models:/{version.name}/{version.version}"
    lineage = Lineage.of_tags(version.tags, found)
    return Checked(found, lineage, matching_release(lineage, releases, found))


def matching_release(lineage: Lineage, live: Sequence[Release], whose: str) -> str:
    """The live release made of what the model learned from: by its name, or, as in another home, by another one.

    Raises ReleaseMismatchError.
    """
    same = [release.name for release in live if release.parts_checksum == lineage.parts]
    if same:
        return lineage.release if lineage.release in same else same[0]
    names = ", ".join(release.name for release in live)
    learned = f"{whose} learned from release {lineage.release}"
    if lineage.release in {release.name for release in live}:
        raise ReleaseMismatchError(
            f"{learned} of another home: here {lineage.release} is made of other parts; live: {names}. Bring that "
            "release here (mmfs releases export, import, promote), or train the model again"
        )
    raise ReleaseMismatchError(
        f"{learned}, which is not live here; live: {names}. Promote that release again, or train the model again"
    )


def model_version(client: MlflowClient, uri: str) -> ModelVersion:
    """A registered model by `models:/name/1` or `models:/name@alias`. Raises ModelLineageError."""
    from mlflow.exceptions import MlflowException

    asked = _NAMED.fullmatch(uri)
    if asked is None:
        raise ModelLineageError(f"a model is named models:/name/1 or models:/name@alias, not {uri!r}")
    try:
        if asked["number"]:
            return client.get_model_version(asked["name"], asked["number"])
        return client.get_model_version_by_alias(asked["name"], asked["alias"])
    except MlflowException as error:
        if error.error_code not in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
            raise
        raise ModelLineageError(f"no registered model {uri} in the home's MLflow") from error
