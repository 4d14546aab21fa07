"""A training's state on disk: one safetensors file, replaced whole, with what is no tensor as JSON in its header."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file

_STATE = "state"


def write_checkpoint(path: Path, tensors: Mapping[str, torch.Tensor], state: Mapping[str, Any]) -> None:
    """Write beside the file and rename: whenever the process stops, the old state or the new is there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    held = {name: tensor.detach().contiguous().clone() for name, tensor in tensors.items()}
    save_file(held, beside, metadata={_STATE: json.dumps(state)})
    with beside.open("rb") as file:
        os.fsync(file.fileno())
    beside.replace(path)


def read_checkpoint(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]] | None:
    """Tensors and state, None where there is no checkpoint."""
    if not path.is_file():
        return None
    with safe_open(path, "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        state: dict[str, Any] = json.loads(file.metadata()[_STATE])
    return tensors, state
