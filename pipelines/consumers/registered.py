"""A consumer's newest model in MLflow's registry, with the services and release that it learned from."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.consumers.tree_table import TreeTable
from pipelines.releases.lineage import Lineage
from pipelines.releases.mlflow_client import mlflow_client
from pipelines.releases.model_versions import log_version, require_model
from pipelines.settings import Settings

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.models.signature import ModelSignature

_MODEL_CODE = Path(__file__).with_name("tree_model.py")
# Where MLflow puts them in the model's folder.
_TREES = "artifacts/trees.parquet"


def register_consumer(settings: Settings, name: str, title: str, trees: TreeTable, lineage: Lineage, run: str) -> str:
    """A new version of the consumer's registered model, made by an MLflow run; its URI."""
    with mlflow_client(settings) as client, tempfile.TemporaryDirectory(prefix="mmfs-consumer-model-") as scratch:
        _save(Path(scratch), trees, lineage)
        require_model(client, name, f"{title}, learned from the features of {', '.join(lineage.services)}")
        version = log_version(
            client,
            run,
            Path(scratch) / "model",
            name=name,
            model_type="consumer",
            tags=lineage.tags(),
            params={"trees": str(trees.nodes.column("tree")[-1].as_py() + 1), "features": str(len(trees.features))},
            description=_card(title, trees, lineage),
        )
    return f"models:/{version.name}/{version.version}"


def read_trees(version: ModelVersion, tracking_uri: str, folder: Path) -> TreeTable:
    """The trees of a registered consumer, by way of a folder. Raises ValueError for a model that has none."""
    from mlflow.exceptions import MlflowException
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    try:
        repository = get_artifact_repository(str(version.source), tracking_uri=tracking_uri)
        return TreeTable.read(Path(repository.download_artifacts(_TREES, str(folder))))
    except (MlflowException, OSError) as error:
        raise ValueError(f"models:/{version.name}/{version.version} has no trees ({error})") from error


def _save(scratch: Path, trees: TreeTable, lineage: Lineage) -> None:
    import mlflow.pyfunc

    trees.write(scratch / Path(_TREES).name)
    mlflow.pyfunc.save_model(
        str(scratch / "model"),
        python_model=str(_MODEL_CODE),
        artifacts={"trees": str(scratch / Path(_TREES).name)},
        signature=_signature(trees),
        metadata=lineage.tags(),
        # Given, or MLflow would install and import the world to find out.
        pip_requirements=["multimodal-feature-store[registry]"],
    )


def _signature(trees: TreeTable) -> ModelSignature:
    import numpy as np
    from mlflow.models.signature import ModelSignature
    from mlflow.types.schema import ColSpec, Schema, TensorSpec

    return ModelSignature(
        inputs=Schema([ColSpec("double", name, required=False) for name in trees.features]),
        outputs=Schema([TensorSpec(np.dtype(np.float64), (-1,))]),
    )


def _card(title: str, trees: TreeTable, lineage: Lineage) -> str:
    lines = [
        f"# {title}",
        f"Learned from the features of **{', '.join(lineage.services)}**, release **{lineage.release}**; serve it "
        "those of no other release (`mmfs releases check`).",
        f"Encoders: {', '.join(lineage.encoders) or 'none'}",
        f"Views: {', '.join(f'`{view}`' for view in lineage.views)}",
        f"Features: {', '.join(f'`{name}`' for name in trees.features)}. Numbers, NaN where nothing is known; instants "
        "are their age in days. Value: the probability of the label.",
    ]
    return "\n\n".join(lines) + "\n"
