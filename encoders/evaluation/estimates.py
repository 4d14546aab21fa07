"""Numbers with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
import numpy.typing as npt

RESAMPLES = 2000
FLIPS = 5000
_SEED = 1
_CHUNK = 2_000_000  # weights drawn at once
_Z = 1.959963984540054  # of a 95% interval


@dataclass(frozen=True)
class Estimate:
    """A value, its 95% interval, and from how many units (users, rows, pairs) it was made."""

    value: float
    low: float
    high: float
    count: int

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}], n = {self.count:,}"


def share(hits: npt.ArrayLike) -> Estimate | None:
    """The share of units that are hits, None of no units.

    The interval is the bootstrap's over units. Where all units agree it would have no width, however few there are:
    there it is Wilson's (Wilson 1927).
    """
    values = np.asarray(hits, dtype=float)
    if not len(values):
        return None
    if values.min() == values.max() and values.min() in (0.0, 1.0):
        return _wilson(float(values[0]), len(values))
    return ratio(values, np.ones(len(values)))


def ratio(numerators: npt.ArrayLike, denominators: npt.ArrayLike) -> Estimate | None:
    """Sum of numerators over sum of denominators, units resampled together; None where nothing is counted."""
    top, bottom = np.asarray(numerators, dtype=float), np.asarray(denominators, dtype=float)
    if not bottom.sum() > 0:
        return None
    # Units that are alike are drawn together: the weights of a resample are multinomial over what differs.
    kinds, counts = np.unique(np.stack([top, bottom]), axis=1, return_counts=True)
    rng, at_once = np.random.default_rng(_SEED), max(1, _CHUNK // len(counts))
    found = []
    for start in range(0, RESAMPLES, at_once):
        weights = rng.multinomial(len(top), counts / len(top), min(at_once, RESAMPLES - start))
        with np.errstate(invalid="ignore"):
            found.append((weights @ kinds[0]) / (weights @ kinds[1]))
    low, high = np.nanquantile(np.concatenate(found), [0.025, 0.975])
    return Estimate(float(top.sum() / bottom.sum()), float(low), float(high), len(top))


def macro_f1(meant: Sequence[str], told: Sequence[str]) -> Estimate | None:
    """The mean over the meant classes of 2 TP / (2 TP + FP + FN), units resampled; None of no units."""
    if not meant:
        return None
    classes = sorted(set(meant))
    kinds, counts = np.unique(np.array([meant, told]), axis=1, return_counts=True)
    true, found = (np.array([[label == c for c in classes] for label in side], dtype=float) for side in kinds)
    drawn = np.random.default_rng(_SEED).multinomial(len(meant), counts / len(meant), RESAMPLES)

    def score(weights: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        both, either = weights @ (true * found), weights @ (true + found)
        with np.errstate(invalid="ignore"):
            of_class = 2 * both / either
        result: npt.NDArray[np.float64] = np.nanmean(of_class, axis=1)
        return result

    low, high = np.nanquantile(score(drawn), [0.025, 0.975])
    return Estimate(float(score(counts[None])[0]), float(low), float(high), len(meant))


def _wilson(value: float, n: int) -> Estimate:
    middle = (value + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
    half = _Z / (1 + _Z**2 / n) * sqrt(value * (1 - value) / n + _Z**2 / (4 * n**2))
    return Estimate(value, max(0.0, middle - half), min(1.0, middle + half), n)


@dataclass(frozen=True)
class Difference:
    """The mean of paired differences, its 95% interval, and how likely chance alone makes one as large (p)."""

    value: float
    low: float
    high: float
    p: float
    count: int


def paired(before: npt.ArrayLike, after: npt.ArrayLike) -> Difference | None:
    """after - before of the same units (n,), None of no units.

    The interval is the bootstrap's over units; p is the two-sided sign-flip test's (Fisher 1935), with the observed
    assignment counted in, so that it is never 0.
    """
    gained = np.asarray(after, dtype=float) - np.asarray(before, dtype=float)
    if not len(gained):
        return None
    interval = ratio(gained, np.ones(len(gained)))
    if interval is None:
        raise AssertionError("units without weight")
    rng, at_once = np.random.default_rng(_SEED), max(1, _CHUNK // len(gained))
    observed, as_large = abs(gained.sum()) - 1e-12, 0
    for start in range(0, FLIPS, at_once):
        signs = rng.integers(0, 2, (min(at_once, FLIPS - start), len(gained)), dtype=np.int8) * 2.0 - 1.0
        as_large += int((np.abs(signs @ gained) >= observed).sum())
    p = (as_large + 1) / (FLIPS + 1)
    return Difference(interval.value, interval.low, interval.high, p, len(gained))


def holm(ps: Sequence[float]) -> list[float]:
    """The p values of a family of tests, corrected so that any false alarm has the stated rate (Holm 1979)."""
    corrected, greatest = [1.0] * len(ps), 0.0
    for rank, place in enumerate(sorted(range(len(ps)), key=lambda i: ps[i])):
        greatest = max(greatest, min(1.0, ps[place] * (len(ps) - rank)))
        corrected[place] = greatest
    return corrected
