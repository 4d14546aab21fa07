"""Tags from models: registered consumers of accounts, taken out of MLflow once and kept with what the tags rest on.

From then on tagging asks no MLflow, and a new version of the model changes nothing until a catalogue that names it is
promoted.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from pipelines.consumers.registered import read_trees
from pipelines.consumers.tree_table import TreeTable
from pipelines.errors import ModelLineageError, TagCatalogueError
from pipelines.releases.check import model_version
from pipelines.releases.mlflow_client import mlflow_client
from pipelines.settings import Settings
from pipelines.tags.catalogue import Catalogue


def learned(catalogue: Catalogue, settings: Settings) -> tuple[Catalogue, dict[str, TreeTable]]:
    """The catalogue with its models' aliases resolved, and the model of each tag that has one.

    Raises TagCatalogueError for a model that is not there or is none of ours; PipelineError where MLflow does not
    answer.
    """
    if not any(tag.model for tag in catalogue.tags):
        return catalogue, {}
    tags, models = [], {}
    with mlflow_client(settings) as client, tempfile.TemporaryDirectory(prefix="mmfs-tag-models-") as folder:
        for tag in catalogue.tags:
            if tag.model:
                try:
                    version = model_version(client, tag.model)
                    models[tag.id] = read_trees(version, client.tracking_uri, Path(folder))
                except (ModelLineageError, ValueError) as error:
                    raise TagCatalogueError(
                        f"tag {tag.id}: {error}. A model of accounts is learned by: mmfs consumer churn, or value"
                    ) from error
                tag = tag.model_copy(update={"model": f"models:/{version.name}/{version.version}"})
            tags.append(tag)
    return catalogue.model_copy(update={"tags": tuple(tags)}), models
