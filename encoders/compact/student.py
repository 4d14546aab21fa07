"""The text tower: token embeddings, mean, MLP; taught by a teacher's vectors and by pairs that mean the same."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from torch.nn import functional

from encoders.schedule import warmed_cosine

CONTEXT = 64
_TEMPERATURE = 0.05
_WARM_UP = 50
_POOL, _ANCHORS, _NEAR, _EVERY = 8192, 16, 20, 250
"""Every 250 steps 8,192 pairs are drawn; a batch is 16 of them with the 20 nearest of each: hard negatives."""


@dataclass
class Lessons:
    """`rows` token ids of all texts; `taught` (n,) texts with `goals` (n, d); `pairs` (m, 2) texts, drawn by
    `weight` (m,)."""

    rows: list[list[int]]
    taught: np.ndarray
    goals: np.ndarray
    pairs: np.ndarray
    weight: np.ndarray


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


def fit(tower: Any, lessons: Lessons, *, steps: int, seed: int, batch: int = 256) -> None:
    """Train `tower`: near to the teacher's goals, and each name nearest to its name in the other language."""
    generator = np.random.default_rng(seed)
    torch.manual_seed(seed)
    goal = torch.from_numpy(lessons.goals.astype(np.float32))
    # Only the rows that a batch touches are updated: several times faster than dense Adam.
    words = tower.transformer.embeddings.word_embeddings
    words.sparse = True
    dense = [parameter for parameter in tower.parameters() if parameter is not words.weight]
    optimisers = [
        torch.optim.SparseAdam([words.weight], lr=1e-2, betas=(0.9, 0.98)),
        torch.optim.Adam(dense, lr=1e-3, betas=(0.9, 0.98)),
    ]
    rate = partial(warmed_cosine, steps=steps, warm_up=_WARM_UP)
    schedules = [torch.optim.lr_scheduler.LambdaLR(one, rate) for one in optimisers]
    tower.train()
    for step, chosen in enumerate(_batches(tower, lessons, generator, steps)):
        taught = generator.choice(len(lessons.taught), batch, replace=False)
        texts = np.concatenate([lessons.taught[taught], lessons.pairs[chosen].T.ravel()])
        # One pass over texts of like length each: padding would be most of the work otherwise.
        vectors = _forward(tower, [lessons.rows[text] for text in texts])
        teaching = _teaching(vectors[:batch], goal[taught])
        chinese, english = vectors[batch:].chunk(2)
        meeting = _meeting(chinese, english, lessons.pairs[chosen])
        loss = teaching + 0.3 * meeting
        tower.zero_grad(set_to_none=True)
        loss.backward()
        for optimiser in optimisers:
            optimiser.step()
        for schedule in schedules:
            schedule.step()
        if step % 100 == 0:
            print(f"text step {step}: teaching {teaching:.3f}, meeting {meeting:.3f}", flush=True)
    tower.eval()


def _batches(tower: Any, lessons: Lessons, generator: np.random.Generator, steps: int) -> Iterator[np.ndarray]:
    """Rows of `pairs`: in turn any, and such as are hard to tell apart."""
    chance = lessons.weight / lessons.weight.sum()
    for step in range(steps):
        if step % _EVERY == 0:
            pool = np.unique(generator.choice(len(lessons.pairs), _POOL, p=chance))
            tower.eval()
            seen = embed(tower, [lessons.rows[text] for text in lessons.pairs[pool, 1]])
            tower.train()
        if step % 2:
            yield generator.choice(len(lessons.pairs), _ANCHORS * _NEAR, p=chance)
        else:
            anchors = torch.from_numpy(generator.choice(len(pool), _ANCHORS, replace=False))
            near = (seen[anchors] @ seen.T).topk(_NEAR).indices
            yield pool[near.unique().numpy()]


def _forward(tower: Any, rows: list[list[int]]) -> torch.Tensor:
    order = np.argsort([len(row) for row in rows], kind="stable")
    parts = [tower(padded([rows[index] for index in part])) for part in np.array_split(order, 4)]
    return functional.normalize(torch.cat(parts)[torch.from_numpy(np.argsort(order))], dim=-1)


def _teaching(vectors: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    contrast = functional.cross_entropy(vectors @ wanted.T / _TEMPERATURE, torch.arange(len(vectors)))
    return (1 - (vectors * wanted).sum(-1)).mean() + 0.05 * contrast


def _meeting(chinese: torch.Tensor, english: torch.Tensor, pairs: np.ndarray) -> torch.Tensor:
    """Contrast between the languages, both ways; texts that stand in several pairs are no negatives of theirs."""
    texts = torch.from_numpy(pairs)
    same = (texts[:, None, :] == texts[None, :, :]).any(-1) & ~torch.eye(len(pairs), dtype=torch.bool)
    likeness = (chinese @ english.T / _TEMPERATURE).masked_fill(same, -1e4)
    right = torch.arange(len(pairs))
    return (functional.cross_entropy(likeness, right) + functional.cross_entropy(likeness.T, right)) / 2


def embed(tower: Any, rows: list[list[int]]) -> torch.Tensor:
    """(n, d) float32 of unit length."""
    with torch.inference_mode():
        parts = [tower(padded(rows[start : start + 256])) for start in range(0, len(rows), 256)]
    return functional.normalize(torch.cat(parts).float(), dim=-1).clone()
