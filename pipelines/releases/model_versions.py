"""A saved model as a version in MLflow's registry, whichever store a client speaks to."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion


def require_model(client: MlflowClient, name: str, description: str) -> None:
    """Make the registered model where there is none of that name."""
    if not client.search_registered_models(f"name = '{name}'"):
        client.create_registered_model(name, description=description)


def log_version(
    client: MlflowClient,
    run_id: str,
    folder: Path,
    *,
    name: str,
    model_type: str,
    tags: Mapping[str, str],
    params: Mapping[str, str],
    description: str,
) -> ModelVersion:
    """A model that was saved into a folder, as a new version of a registered model; `run_id` is what made it.

    The version's tag `model_id` is the logged model's.
    """
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    # A version without a source run would be looked up in MLflow's global store, which may be another one.
    experiment = client.get_run(run_id).info.experiment_id
    model = client.create_logged_model(
        experiment, name=name, source_run_id=run_id, tags=dict(tags), params=dict(params), model_type=model_type
    )
    # client.log_model_artifacts looks the model up in the global store, too.
    repository = get_artifact_repository(model.artifact_location, tracking_uri=client.tracking_uri)
    repository.log_artifacts(str(folder))
    client.finalize_logged_model(model.model_id, "READY")
    return client.create_model_version(
        name,
        source=model.artifact_location,
        run_id=run_id,
        # Not every store keeps a version's model id.
        tags={**tags, "model_id": model.model_id},
        description=description,
        model_id=model.model_id,
    )
