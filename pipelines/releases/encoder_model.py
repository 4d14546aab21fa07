"""The pyfunc flavour of every registered encoder: MLflow stores and runs this file as it is, unpickled.

`mlflow.pyfunc.load_model("models:/compact-clip/1").predict(pandas.DataFrame({"text": ["红色连衣裙"]}))`
gives float32 (n, dimensions), rows of unit length. The column is `text`, or `image` with the files' bytes;
texts take `params={"role": "query" | "passage"}`. The spec travels as an artifact; weights come from where
its URI says.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlflow.models
import numpy as np
import pandas as pd
from mlflow.pyfunc.model import PythonModel

from encoders.spec import EncoderSpec


class EncoderModel(PythonModel):
    """One encoder behind MLflow's interface."""

    def load_context(self, context: Any) -> None:
        from encoders.load import load

        spec = EncoderSpec.from_json(Path(context.artifacts["spec"]).read_text(encoding="utf-8"))
        self._encoder = load(spec)

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> np.ndarray:
        """Raises ContentError for a row that cannot be encoded; ValueError where neither column is there."""
        from encoders.image import decode_image
        from encoders.text import normalise_text

        if "text" in model_input:
            texts = [normalise_text(text) for text in model_input["text"]]
            return self._encoder.encode_texts(texts, role=(params or {}).get("role", "passage"))
        if "image" in model_input:
            return self._encoder.encode_images([decode_image(data) for data in model_input["image"]])
        raise ValueError(f"expected a column 'text' or 'image', found {list(model_input)}")


mlflow.models.set_model(EncoderModel())
