"""The text tower: token embeddings, mean, MLP; taught by universal-sentence-encoder vectors."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from torch.nn import functional

CONTEXT = 64


def build(directory: Path, dimensions: int) -> Any:
    """open_clip's own text tower with fresh weights, from the configuration in `directory`."""
    from open_clip.hf_model import HFTextEncoder

    tower = HFTextEncoder(str(directory), dimensions, pooler_type="mean_pooler", proj_type="mlp", pretrained=False)
    torch.nn.init.normal_(tower.transformer.embeddings.word_embeddings.weight, std=0.3)
    for name in ("position_embeddings", "token_type_embeddings"):
        torch.nn.init.zeros_(getattr(tower.transformer.embeddings, name).weight)
    return tower


def token_ids(tokenizer: Tokenizer, texts: list[str]) -> list[list[int]]:
    """Ids without padding, cut to the context length."""
    return [encoding.ids[:CONTEXT] for encoding in tokenizer.encode_batch(texts)]


def padded(rows: list[list[int]]) -> torch.Tensor:
    """(n, longest) int64, padded with 0."""
    width = max(len(row) for row in rows)
    return torch.tensor([row + [0] * (width - len(row)) for row in rows])


def fit(tower: Any, rows: list[list[int]], targets: np.ndarray, *, steps: int, seed: int, batch: int = 512) -> None:
    """Train `tower` so that texts with ids `rows` come out at `targets` (n, d), unit length.

    Cosine to the teacher, and a light contrast against the batch so that names stay apart.
    """
    generator = np.random.default_rng(seed)
    goal = torch.from_numpy(targets.astype(np.float32))
    # Only the rows that a batch touches are updated: several times faster than dense Adam.
    words = tower.transformer.embeddings.word_embeddings
    words.sparse = True
    dense = [parameter for parameter in tower.parameters() if parameter is not words.weight]
    optimisers = [
        torch.optim.SparseAdam([words.weight], lr=1e-2, betas=(0.9, 0.98)),
        torch.optim.Adam(dense, lr=1e-3, betas=(0.9, 0.98)),
    ]
    schedules = [torch.optim.lr_scheduler.LambdaLR(one, lambda step: _rate(step, steps)) for one in optimisers]
    tower.train()
    for step in range(steps):
        chosen = generator.choice(len(rows), batch, replace=False)
        vectors = functional.normalize(tower(padded([rows[index] for index in chosen])), dim=-1)
        wanted = goal[chosen]
        cosine = (vectors * wanted).sum(-1)
        contrast = functional.cross_entropy(vectors @ wanted.T / 0.05, torch.arange(batch))
        loss = (1 - cosine).mean() + 0.05 * contrast
        tower.zero_grad(set_to_none=True)
        loss.backward()
        for optimiser in optimisers:
            optimiser.step()
        for schedule in schedules:
            schedule.step()
        if step % 100 == 0:
            print(f"text step {step}: cosine {cosine.mean():.3f}, contrast {contrast:.3f}", flush=True)
    tower.eval()


def _rate(step: int, steps: int) -> float:
    """Warm-up over 50 steps, then a half cosine to zero."""
    return min(1.0, (step + 1) / 50) * 0.5 * (1 + math.cos(math.pi * step / steps))


def embed(tower: Any, rows: list[list[int]]) -> torch.Tensor:
    """(n, d) float32 of unit length."""
    with torch.inference_mode():
        parts = [tower(padded(rows[start : start + 256])) for start in range(0, len(rows), 256)]
    return functional.normalize(torch.cat(parts).float(), dim=-1).clone()
