"""The loss: symmetric InfoNCE, and how far vectors have moved from where they began."""

from __future__ import annotations

import torch
from torch.nn import functional


def info_nce(
    left: torch.Tensor, candidates: torch.Tensor, right: torch.Tensor, known: torch.Tensor, temperature: float
) -> torch.Tensor:
    """Mean of both directions (van den Oord et al. 2018; symmetric as in CLIP, Radford et al. 2021).

    `left` (n, d) and `candidates` (m, d) are of unit length, `right` (n,) says which candidate belongs to each left
    one. `known` (n, m) marks candidates that are right as well: they are neither wanted nor told apart.
    """
    rows = torch.arange(len(left))
    spared = known.clone()
    spared[rows, right] = False
    likeness = left @ candidates.T / temperature
    forth = functional.cross_entropy(likeness.masked_fill(spared, -torch.inf), right)
    # The other way the left sides of the same batch are told apart: (n, n), each row a right side.
    back_spared = known[:, right].T.clone()
    back_spared[rows, rows] = False
    back = functional.cross_entropy(likeness[:, right].T.masked_fill(back_spared, -torch.inf), rows)
    return (forth + back) / 2


def moved(now: torch.Tensor, start: torch.Tensor) -> torch.Tensor:
    """1 - cosine between vectors (n, d) of unit length and what they were at the start, on average."""
    return (1 - (now * start).sum(dim=-1)).mean()
