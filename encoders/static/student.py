"""The student: one vector a token, whose mean over a text points where the teacher's vector of the text does, and in
one direction says how pleased it is.

It begins with the teacher's own input embeddings, mapped linearly: a token that no training text holds then still
means something. Tokens' lengths are their weights in the mean, and are learned.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from tokenizers import Tokenizer
from torch.nn import functional

_FREQUENT = 1e-3
_BATCH = 256
_LEFT_OUT = 0.2
# How far the regression on tokens may lean on single ones.
_BELIEF = 2.0
# Spread of the direction of sentiment beside the usual length of a text's mean.
_SENTIMENT = 0.7


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


def fit(rows: torch.Tensor, ids: list[np.ndarray], goals: np.ndarray, *, steps: int, seed: int) -> torch.Tensor:
    """Train the (n, 384) rows by cosine to the goals (texts, 384); returns the trained ones."""
    torch.manual_seed(seed)
    chooser = np.random.default_rng(seed)
    wanted = torch.from_numpy(goals)
    bag = torch.nn.EmbeddingBag.from_pretrained(rows.clone(), freeze=False, mode="mean", sparse=True)
    optimiser = torch.optim.SparseAdam(bag.parameters(), lr=_step_size(rows))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: 0.5 * (1 + math.cos(math.pi * step / steps)))
    for step in range(steps):
        chosen = chooser.choice(len(ids), min(_BATCH, len(ids)), replace=False)
        kept = [_thinned(ids[row], chooser) for row in chosen]
        vectors = functional.normalize(bag(*end_to_end(kept)), dim=-1)
        cosine = (vectors * wanted[chosen]).sum(-1).mean()
        optimiser.zero_grad(set_to_none=True)
        (1 - cosine).backward()
        optimiser.step()
        schedule.step()
        if step % 100 == 0:
            print(f"step {step}: cosine {cosine:.3f}", flush=True)
    return bag.weight.detach()


def _thinned(ids: np.ndarray, chooser: np.random.Generator) -> np.ndarray:
    """Without a fifth of the tokens: no text is known by one rare word."""
    kept = ids[chooser.random(len(ids)) >= _LEFT_OUT]
    return kept if len(kept) else ids


def with_sentiment(rows: torch.Tensor, ids: list[np.ndarray], labels: np.ndarray) -> torch.Tensor:
    """The rows with a direction of their own for how pleased a text is: where the texts of `ids`, labelled 1 and 0,
    differ least otherwise, each token gets its coefficient in a logistic regression on the texts' tokens."""
    from scipy import sparse
    from sklearn.linear_model import LogisticRegression

    flat, starts = np.concatenate(ids), np.cumsum([0, *(len(of_text) for of_text in ids)])
    counts = sparse.csr_matrix((np.ones(len(flat)), flat, starts), shape=(len(ids), len(rows)))
    counts.sum_duplicates()
    counts.data[:] = 1
    unit = sparse.diags(1 / np.sqrt(np.maximum(counts.getnnz(axis=1), 1))) @ counts
    told = LogisticRegression(C=_BELIEF, max_iter=300, solver="liblinear").fit(unit, labels)
    coefficients = told.coef_[0].astype(np.float32)
    vectors = embed(rows, ids)
    _, directions = np.linalg.eigh(np.cov(vectors.T))
    quiet = directions[:, 0].astype(np.float32)
    means = np.array([coefficients[of_text].mean() for of_text in ids])
    sizes = np.array([float(rows[torch.from_numpy(of_text)].mean(dim=0).norm()) for of_text in ids[:2000]])
    scale = _SENTIMENT * float(np.median(sizes)) / float(means.std())
    without = rows - (rows @ torch.from_numpy(quiet))[:, None] * torch.from_numpy(quiet)
    return without + scale * torch.from_numpy(coefficients)[:, None] * torch.from_numpy(quiet)


def _step_size(rows: torch.Tensor) -> float:
    """A few hundredths of an element's usual size a step."""
    return 0.03 * float(rows.abs().mean())


def embed(rows: torch.Tensor, ids: list[np.ndarray]) -> np.ndarray:
    """(n, 384) float32 of unit length."""
    flat, offsets = end_to_end(ids)
    with torch.inference_mode():
        return functional.normalize(functional.embedding_bag(flat, rows, offsets), dim=-1).numpy()
