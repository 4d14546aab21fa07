"""The one door to MLflow: where it stores, and its start without noise or network."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pipelines.errors import PipelineError, SettingsError
from pipelines.settings import Settings

if TYPE_CHECKING:
    from mlflow import MlflowClient


def tracking_uri(settings: Settings) -> str:
    """The setting, or SQLite under the home."""
    if settings.mlflow_tracking_uri:
        return settings.mlflow_tracking_uri
    if settings.local_home is None:
        raise SettingsError(
            f"setting MMFS_MLFLOW_TRACKING_URI is needed: SQLite cannot live in {settings.home}; "
            "name an MLflow server or a database"
        )
    return f"sqlite:///{settings.under_home('mlflow', 'mlflow.db')}"


@contextmanager
def mlflow_client(settings: Settings) -> Iterator[MlflowClient]:
    """A client of the home's tracking store and registry; MLflow's global state is left alone.

    The first use of a database makes MLflow's tables: some fifty migrations, seconds. Raises PipelineError,
    in one line, for what MLflow refuses.
    """
    # Read when mlflow is imported; what the caller has set stands.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    uri = tracking_uri(settings)
    if settings.local_home and not settings.mlflow_tracking_uri:
        (settings.local_home / "mlflow").mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        # MLflow's own mappings are built with what SQLAlchemy and others have deprecated.
        warnings.simplefilter("ignore")
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException

        for noisy in ("mlflow", "alembic"):
            logging.getLogger(noisy).setLevel(logging.ERROR)
        try:
            yield MlflowClient(tracking_uri=uri, registry_uri=uri)
        except MlflowException as error:
            raise PipelineError(f"MLflow at {uri}: {str(error).splitlines()[0]}") from error


def experiment_id(client: MlflowClient, name: str, settings: Settings) -> str:
    """The experiment, made when first asked for; artifacts go below the home, or where the server says."""
    experiment = client.get_experiment_by_name(name)
    if experiment is not None:
        return str(experiment.experiment_id)
    if settings.mlflow_tracking_uri or settings.local_home is None:
        return client.create_experiment(name)
    folder = settings.local_home / "mlflow" / "artifacts" / name.rpartition("/")[2]
    return client.create_experiment(name, artifact_location=folder.as_uri())
