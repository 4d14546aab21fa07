"""The pyfunc flavour of a registered consumer: MLflow stores and runs this file as it is, unpickled.

`mlflow.pyfunc.load_model("models:/churn/1").predict(frame)` gives the probability of the label, float64 (n,). The
frame's columns are the model's features by name, NaN where nothing is known; a column that is left out is unknown.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlflow.models
import numpy as np
import pandas as pd
from mlflow.pyfunc.model import PythonModel

from pipelines.consumers.tree_table import TreeTable


class TreeModel(PythonModel):
    """Trees behind MLflow's interface."""

    def load_context(self, context: Any) -> None:
        self._trees = TreeTable.read(Path(context.artifacts["trees"]))

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> np.ndarray:
        features = model_input.reindex(columns=list(self._trees.features)).to_numpy(dtype=np.float64, na_value=np.nan)
        odds: np.ndarray = np.exp(-self._trees.scores(features))
        return 1.0 / (1.0 + odds)


mlflow.models.set_model(TreeModel())
