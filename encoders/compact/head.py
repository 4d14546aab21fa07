"""The image head: from trunk features (1280) into the joint space.

open_clip's `timm_proj: mlp`: Linear(1280, 1024), GELU, Linear(1024, 512). As
gelu(x) - gelu(-x) = x, rows W and -W followed by [I, -I] are exactly a linear head; training
starts there, at a ridge regression, and bends it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional


@dataclass
class Bank:
    """What pictures are told apart from: unit name vectors per language, (names, d)."""

    chinese: torch.Tensor
    english: torch.Tensor


@dataclass
class Examples:
    """Training pictures: `views` (all views, 1280), the first of each picture's in `first` (n,) and how many in
    `count` (n,), `name` (n,) rows of the bank, `style` (n,) number of its group, `weight` (n,) for sampling,
    `soft` (n, d) unit vectors from the trunk's own classifier."""

    views: torch.Tensor
    first: torch.Tensor
    count: torch.Tensor
    name: torch.Tensor
    style: torch.Tensor
    weight: torch.Tensor
    soft: torch.Tensor


@dataclass(frozen=True)
class Recipe:
    """Settings of the head's training, chosen on photos and a drawing style that are not reported."""

    steps: int = 600
    batch: int = 256
    negatives: int = 768
    temperature: float = 0.05
    blame: float = 0.05
    soft: float = 0.3
    neighbours: float = 1.0
    restyle: float = 0.5
    noise: float = 0.1
    drop: float = 0.1
    ridge: float = 0.3
    inner_rate: float = 1e-4
    outer_rate: float = 3e-4


class Head(torch.nn.Module):
    """Same tensors as open_clip's `visual.head.mlp`; features are standardised inside `fc1`."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.fc1 = torch.nn.Linear(inputs, 2 * outputs)
        self.fc2 = torch.nn.Linear(2 * outputs, outputs)

    def forward(self, features: torch.Tensor, drop: float = 0.0) -> torch.Tensor:
        """(n, inputs) -> (n, outputs)."""
        hidden = functional.gelu(self.fc1(features))
        return self.fc2(functional.dropout(hidden, drop, training=self.training))


def start_linear(features: torch.Tensor, targets: torch.Tensor, weight: torch.Tensor, ridge: float) -> Head:
    """A `Head` that equals weighted ridge regression from standardised (n, 1280) to (n, d)."""
    inputs, share = features.double(), (weight / weight.sum()).double()[:, None]
    mean = (inputs * share).sum(0)
    spread = ((inputs - mean) ** 2 * share).sum(0).sqrt().clamp_min(1e-3)
    x = (inputs - mean) / spread
    y = targets.double()
    offset = (y * share).sum(0)
    gram = (x * share).T @ x + ridge * torch.eye(x.shape[1], dtype=torch.float64)
    weights = torch.linalg.solve(gram, (x * share).T @ (y - offset)).T
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


def fit(head: Head, examples: Examples, bank: Bank, recipe: Recipe, *, seed: int) -> None:
    """Train by three aims: be nearest to one's own name (names alike share the blame), stay near what the
    trunk's classifier sees, keep the trunk's neighbours."""
    draw = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    groups = [
        {"params": [head.fc1.weight], "lr": recipe.inner_rate},
        {"params": [head.fc1.bias, head.fc2.weight, head.fc2.bias], "lr": recipe.outer_rate},
    ]
    optimiser = torch.optim.AdamW(groups, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min(1.0, step / 50) * 0.5 * (1 + math.cos(math.pi * step / recipe.steps))
    )
    means = _style_means(examples)
    centre = examples.views.mean(0)
    head.train()
    for step in range(recipe.steps):
        rows = torch.multinomial(examples.weight, recipe.batch, replacement=True, generator=draw)
        features = _drawn(examples, rows, means, recipe, draw)
        vectors = functional.normalize(head(features, drop=recipe.drop), dim=-1)
        names = examples.name[rows]
        others = torch.randperm(len(bank.english), generator=draw)[: recipe.negatives]
        asked, place = torch.cat([names, others]).unique(return_inverse=True)
        sides = (bank.chinese[asked], bank.english[asked])
        naming = sum(_naming(vectors, place[: len(names)], side, recipe) for side in sides) / 2
        soft = (1 - (vectors * examples.soft[rows]).sum(-1)).mean()
        loss = naming + recipe.soft * soft + recipe.neighbours * _neighbours(vectors, features - centre)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if step % 100 == 0:
            print(f"image step {step}: naming {naming:.3f}, soft {soft:.3f}", flush=True)
    head.eval()


def _style_means(examples: Examples) -> torch.Tensor:
    """(styles, 1280): what the pictures of a group have in common."""
    features = examples.views[examples.first]
    styles = int(examples.style.max()) + 1
    return torch.stack([features[examples.style == style].mean(0) for style in range(styles)])


def _drawn(
    examples: Examples, rows: torch.Tensor, means: torch.Tensor, recipe: Recipe, draw: torch.Generator
) -> torch.Tensor:
    """A view of each picture, noisy, and some drawings moved towards another style's mean."""
    which = (torch.rand(len(rows), generator=draw) * examples.count[rows]).long()
    features = examples.views[examples.first[rows] + which]
    if recipe.restyle:
        others = means[examples.style[rows[torch.randperm(len(rows), generator=draw)]]]
        amount = recipe.restyle * torch.rand((len(rows), 1), generator=draw)
        features = features + amount * (others - means[examples.style[rows]])
    return features * (1 + recipe.noise * torch.randn(features.shape, generator=draw))


def _naming(vectors: torch.Tensor, names: torch.Tensor, bank: torch.Tensor, recipe: Recipe) -> torch.Tensor:
    wanted = functional.softmax(bank[names] @ bank.T / recipe.blame, dim=-1)
    return functional.cross_entropy(vectors @ bank.T / recipe.temperature, wanted)


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
