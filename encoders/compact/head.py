"""The image head: from frozen trunk features (1280) into the joint space.

open_clip's `timm_proj: mlp`: Linear(1280, 1024), GELU, Linear(1024, 512). As
gelu(x) - gelu(-x) = x, rows W and -W followed by [I, -I] are exactly a linear head; training
starts there and bends it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

HIDDEN = 1024


@dataclass
class Bank:
    """What pictures are told apart from: unit name vectors per language, (names, d)."""

    chinese: torch.Tensor
    english: torch.Tensor


@dataclass
class Examples:
    """Training pictures: `views` (n, v, 1280), `name` rows of the bank, `weight` for sampling,
    `soft` (n, d) unit vectors from the trunk's own classifier."""

    views: torch.Tensor
    name: torch.Tensor
    weight: torch.Tensor
    soft: torch.Tensor


class Head(torch.nn.Module):
    """Same tensors as open_clip's `visual.head.mlp`; features are standardised inside `fc1`."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.fc1 = torch.nn.Linear(inputs, HIDDEN)
        self.fc2 = torch.nn.Linear(HIDDEN, outputs)

    def forward(self, features: torch.Tensor, drop: float = 0.0) -> torch.Tensor:
        """(n, inputs) -> (n, outputs)."""
        hidden = functional.gelu(self.fc1(features))
        return self.fc2(functional.dropout(hidden, drop, training=self.training))


def start_linear(features: torch.Tensor, targets: torch.Tensor, ridge: float) -> Head:
    """A `Head` that equals ridge regression from standardised (n, 1280) to (n, d)."""
    inputs = features.double()
    mean, spread = inputs.mean(0), inputs.std(0).clamp_min(1e-3)
    x = (inputs - mean) / spread
    y = targets.double()
    offset = y.mean(0)
    gram = x.T @ x + ridge * len(x) * torch.eye(x.shape[1], dtype=torch.float64)
    weights = torch.linalg.solve(gram, x.T @ (y - offset)).T
    size = weights.shape[0]
    # Gain so that hidden values reach the curved part of GELU.
    gain = 1.0 / (x[:2000] @ weights.T).std()
    head = Head(x.shape[1], size)
    first = torch.cat([weights, -weights]) * gain / spread
    with torch.no_grad():
        head.fc1.weight.copy_(first)
        head.fc1.bias.copy_(-(first @ mean))
        head.fc2.weight.copy_(torch.cat([torch.eye(size), -torch.eye(size)], dim=1) / gain)
        head.fc2.bias.copy_(offset)
    return head


def fit(head: Head, examples: Examples, bank: Bank, *, steps: int, seed: int, batch: int = 384) -> None:
    """Train by three aims: be nearest to one's own name among all (names alike share the blame),
    stay near what the trunk's classifier sees, keep the trunk's neighbours."""
    draw = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    groups = [
        {"params": [head.fc1.weight], "lr": 1e-4},
        {"params": [head.fc1.bias, head.fc2.weight, head.fc2.bias], "lr": 3e-4},
    ]
    optimiser = torch.optim.AdamW(groups, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min(1.0, step / 50) * 0.5 * (1 + math.cos(math.pi * step / steps))
    )
    centre = examples.views.mean((0, 1))
    head.train()
    for step in range(steps):
        rows = torch.multinomial(examples.weight, batch, generator=draw)
        view = torch.randint(examples.views.shape[1], (batch,), generator=draw)
        features = examples.views[rows, view]
        noisy = features * (1 + 0.1 * torch.randn(features.shape, generator=draw))
        vectors = functional.normalize(head(noisy, drop=0.1), dim=-1)
        names = examples.name[rows]
        naming = sum(_naming(vectors, names, side) for side in (bank.chinese, bank.english)) / 2
        soft = (1 - (vectors * examples.soft[rows]).sum(-1)).mean()
        loss = naming + 0.3 * soft + 1.0 * _neighbours(vectors, features - centre)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if step % 100 == 0:
            print(f"image step {step}: naming {naming:.3f}, soft {soft:.3f}", flush=True)
    head.eval()


def _naming(vectors: torch.Tensor, names: torch.Tensor, bank: torch.Tensor) -> torch.Tensor:
    wanted = functional.softmax(bank[names] @ bank.T / 0.05, dim=-1)
    return functional.cross_entropy(vectors @ bank.T / 0.05, wanted)


def _neighbours(vectors: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
    """Cross-entropy between each picture's neighbours by the trunk and by the head."""
    unit = functional.normalize(features, dim=-1)
    itself = torch.eye(len(vectors), dtype=torch.bool)
    wanted = functional.softmax((unit @ unit.T / 0.1).masked_fill(itself, -1e4), dim=-1)
    found = functional.log_softmax((vectors @ vectors.T / 0.1).masked_fill(itself, -1e4), dim=-1)
    return functional.kl_div(found, wanted, reduction="batchmean")


def apply(head: Head, features: np.ndarray) -> np.ndarray:
    """(n, 1280) -> (n, d) float32 of unit length."""
    with torch.inference_mode():
        return functional.normalize(head(torch.from_numpy(features)), dim=-1).numpy()
