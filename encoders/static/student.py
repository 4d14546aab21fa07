"""The student: one vector a token, whose mean over a text points where the teacher's vector of the text does.

It begins with the teacher's own input embeddings, mapped linearly: a token that no training text holds then still
means something. Tokens' lengths are their weights in the mean, and are learned.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from tokenizers import Tokenizer
from torch.nn import functional

_FREQUENT = 1e-3


@dataclass(frozen=True)
class Lessons:
    """Token ids of each text; the teacher's centred unit vectors (n, 384), or zeros where it was not asked; labels
    1 pleased, 0 displeased, -1 unknown."""

    ids: list[np.ndarray]
    goals: torch.Tensor
    labels: torch.Tensor


def end_to_end(ids: list[np.ndarray]) -> tuple[torch.Tensor, torch.Tensor]:
    """(ids, offsets) as `EmbeddingBag` takes them."""
    offsets = np.cumsum([0, *(len(of_text) for of_text in ids[:-1])])
    return torch.from_numpy(np.concatenate(ids)), torch.from_numpy(offsets)


def token_ids(tokenizer: Tokenizer, texts: list[str]) -> list[np.ndarray]:
    """int64 ids of each text; at least one."""
    encodings = tokenizer.encode_batch(texts, add_special_tokens=False)
    return [np.array(encoding.ids or [0], dtype=np.int64) for encoding in encodings]


def start(embeddings: np.ndarray, ids: list[np.ndarray], goals: np.ndarray, ridge: float = 1e-2) -> torch.Tensor:
    """(n, 384) rows: the teacher's input embeddings of the pieces, frequent ones shortened, through the linear map
    that brings the means of the training texts nearest to their goals."""
    counts = np.bincount(np.concatenate(ids), minlength=len(embeddings)).astype(np.float64)
    weights = _FREQUENT / (_FREQUENT + counts / counts.sum())
    rows = (embeddings - embeddings.mean(axis=0)) * weights[:, None]
    means = np.stack([rows[of_text].mean(axis=0) for of_text in ids])
    scale = np.linalg.norm(means, axis=1, keepdims=True).clip(1e-6)
    x, size = means / scale, means.shape[1]
    mapping = np.linalg.solve(x.T @ x + ridge * len(x) / size * np.eye(size), x.T @ goals)
    return torch.from_numpy((rows @ mapping).astype(np.float32))


def fit(
    rows: torch.Tensor, lessons: Lessons, *, steps: int, seed: int, pleased: float, batch: int = 256
) -> torch.Tensor:
    """Train the rows by cosine to the teacher; where a label is known, a linear judge of pleasure has to find it too,
    with the weight `pleased`. Returns the trained (n, 384) rows."""
    torch.manual_seed(seed)
    chooser = np.random.default_rng(seed)
    bag = torch.nn.EmbeddingBag.from_pretrained(rows.clone(), freeze=False, mode="mean", sparse=True)
    judge = torch.nn.Linear(rows.shape[1], 1)
    optimisers = [
        torch.optim.SparseAdam(bag.parameters(), lr=_step_size(rows)),
        torch.optim.Adam(judge.parameters(), lr=1e-2),
    ]
    schedules = [
        torch.optim.lr_scheduler.LambdaLR(one, lambda step: 0.5 * (1 + math.cos(math.pi * step / steps)))
        for one in optimisers
    ]
    for step in range(steps):
        chosen = chooser.choice(len(lessons.ids), batch, replace=False)
        vectors = functional.normalize(bag(*end_to_end([lessons.ids[row] for row in chosen])), dim=-1)
        labels = lessons.labels[chosen]
        cosine = (vectors * lessons.goals[chosen]).sum(-1).mean()
        known = labels >= 0
        said = judge(4 * vectors[known]).squeeze(-1)
        wrong = functional.binary_cross_entropy_with_logits(said, labels[known].float())
        for optimiser in optimisers:
            optimiser.zero_grad(set_to_none=True)
        (1 - cosine + pleased * wrong).backward()
        for optimiser, schedule in zip(optimisers, schedules, strict=True):
            optimiser.step()
            schedule.step()
        if step % 100 == 0:
            print(f"step {step}: cosine {cosine:.3f}, pleasure {wrong:.3f}", flush=True)
    return bag.weight.detach()


def _step_size(rows: torch.Tensor) -> float:
    """A few hundredths of an element's usual size a step."""
    return 0.03 * float(rows.abs().mean())


def embed(rows: torch.Tensor, ids: list[np.ndarray]) -> np.ndarray:
    """(n, 384) float32 of unit length."""
    flat, offsets = end_to_end(ids)
    with torch.inference_mode():
        return functional.normalize(functional.embedding_bag(flat, rows, offsets), dim=-1).numpy()
