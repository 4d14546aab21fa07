"""How the learning rate goes over a training."""

from __future__ import annotations

import math


def warmed_cosine(step: int, steps: int, warm_up: int) -> float:
    """The share of the full rate at a step, counted from 0: a warm-up over so many steps, then a half cosine to zero
    (Loshchilov and Hutter, "SGDR", ICLR 2017)."""
    return min(1.0, (step + 1) / warm_up) * 0.5 * (1 + math.cos(math.pi * step / steps))
