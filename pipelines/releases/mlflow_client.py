"""The one door to MLflow: where it stores, and its start without noise or network."""

from __future__ import annotations

import logging
import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pipelines.errors import PipelineError, SettingsError
from pipelines.settings import Settings

if TYPE_CHECKING:
    from mlflow import MlflowClient

_DATABASE_SERVERS = ("postgresql", "mysql", "mssql")
_PATIENCE = 10  # seconds
_KIND = "custom_model_development"


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
    # A server that is down is told within seconds; MLflow's own patience is minutes.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
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
            _require_database(uri)
            yield MlflowClient(tracking_uri=uri, registry_uri=uri)
        except MlflowException as error:
            raise PipelineError(f"MLflow at {_without_password(uri)}: {str(error).splitlines()[0]}") from error


def _require_database(uri: str) -> None:
    """Raises PipelineError where a database cannot be reached: MLflow itself would try again for an hour."""
    if not uri.startswith(_DATABASE_SERVERS):
        return
    # Imported late: MLflow's import is the slow one, and needs it anyway.
    from sqlalchemy import create_engine
    from sqlalchemy.exc import SQLAlchemyError
    from sqlalchemy.pool import NullPool

    patience = {} if uri.startswith("mssql") else {"connect_timeout": _PATIENCE}
    try:
        create_engine(uri, poolclass=NullPool, connect_args=patience).connect().close()
    except SQLAlchemyError as error:
        said = str(error).splitlines()[0]
        raise PipelineError(f"MLflow's database {_without_password(uri)} cannot be reached: {said}") from error


def _without_password(uri: str) -> str:
    return re.sub(r"(://[^:/@]*):[^@/]*@", r"\1:***@", uri)


def experiment_id(client: MlflowClient, name: str, settings: Settings) -> str:
    """The experiment, made when first asked for; artifacts go below the home, or where the server says."""
    experiment = client.get_experiment_by_name(name)
    if experiment is not None:
        return str(experiment.experiment_id)
    folder = _artifacts(settings)
    location = None if folder is None else f"{folder}/{name.rpartition('/')[2]}"
    # MLflow's pages then show metrics and models instead of traces and prompts.
    return client.create_experiment(name, artifact_location=location, tags={"mlflow.experimentKind": _KIND})


def _artifacts(settings: Settings) -> str | None:
    """Where artifacts go that MLflow's clients store themselves; None where a server takes them."""
    if settings.mlflow_artifacts:
        return settings.mlflow_artifacts.rstrip("/")
    if not tracking_uri(settings).startswith((*_DATABASE_SERVERS, "sqlite")):
        return None
    if settings.local_home is None:
        return settings.under_home("mlflow", "artifacts")
    return (settings.local_home / "mlflow" / "artifacts").as_uri()
