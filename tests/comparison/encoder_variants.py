"""Copies of the bundled picture encoder whose weights were changed: broken, slightly worse, or the same in effect."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from encoders.bundled import prepared_directory
from pipelines.settings import PROJECT_ROOT

_WEIGHTS = "open_clip_model.safetensors"
_HEAD = "visual.head."
Change = Callable[[str, torch.Tensor, torch.Generator], torch.Tensor]


def shuffled(name: str, weights: torch.Tensor, random: torch.Generator) -> torch.Tensor:
    """Every matrix with its numbers in random order."""
    if weights.dim() < 2:
        return weights
    order = torch.randperm(weights.numel(), generator=random)
    return weights.reshape(-1)[order].reshape(weights.shape)


def noisy_head(name: str, weights: torch.Tensor, random: torch.Generator) -> torch.Tensor:
    """Noise of the weights' own size on the picture head's matrices."""
    return _noisy_head(name, weights, random, 1.0)


def very_noisy_head(name: str, weights: torch.Tensor, random: torch.Generator) -> torch.Tensor:
    """Twice that: so much that a shop of sixty users can show it."""
    return _noisy_head(name, weights, random, 2.0)


def _noisy_head(name: str, weights: torch.Tensor, random: torch.Generator, share: float) -> torch.Tensor:
    if not name.startswith(_HEAD) or weights.dim() < 2:
        return weights
    noise = torch.randn(weights.shape, generator=random) * weights.float().std()
    return weights.float() + share * noise


def coarser(name: str, weights: torch.Tensor, random: torch.Generator) -> torch.Tensor:
    """In another precision: seven bits of fraction instead of the ten that the bundled weights have."""
    return weights.to(torch.bfloat16).to(weights.dtype) if weights.is_floating_point() else weights


def variant(folder: Path, change: Change, seed: int) -> str:
    """Write a changed copy below the folder; its URI."""
    target = folder / f"{change.__name__.replace('_', '-')}-{seed}"
    shutil.copytree(prepared_directory("compact-clip", PROJECT_ROOT / ".cache"), target)
    random = torch.Generator().manual_seed(seed)
    state = load_file(target / _WEIGHTS)
    changed = {name: change(name, weights, random).contiguous() for name, weights in state.items()}
    (target / _WEIGHTS).unlink()
    save_file(changed, target / _WEIGHTS)
    return f"open-clip:{target}"
