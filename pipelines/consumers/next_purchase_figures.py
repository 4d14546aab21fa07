"""Figures of next-purchase rankings, by how much users had done before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from encoders.evaluation.estimates import Estimate, ratio
from pipelines.consumers.occasions import Occasion
from pipelines.consumers.ranking_metrics import best_first, hits, ndcg, recall
from pipelines.evaluation.measure import Absent, Measured, Topic, figures
from pipelines.evaluation.plots import bars

K = 10
_LEAST_FOUND = 15
_METRICS = {f"recall@{K}": recall, f"NDCG@{K}": ndcg}
_HOW = (
    "Rankings of all products offered at the cut. Products bought within the label window that were offered then are "
    "relevant. Past events are acts that tell of an interest (views, clicks, searches, favourites, shares, cart "
    "additions, purchases), those on linked devices included. Users are resampled with all their cuts; relative gains "
    "are of the ranker with multimodal features over each other way, on the same rows in the same resamples."
)


@dataclass(frozen=True)
class Segment:
    """Users with so many past events, `least` to `most`."""

    name: str
    title: str
    least: int
    most: float


SEGMENTS = (
    Segment("next_purchase", "All users", 1, np.inf),
    Segment("next_purchase_new", "Users with 1 to 3 past events", 1, 3),
    Segment("next_purchase_warming", "Users with 4 to 20 past events", 4, 20),
    Segment("next_purchase_warm", "Users with more than 20 past events", 21, np.inf),
)

DISCOVERY = Segment("next_purchase_discovery", "Products on which their user had not acted", 1, np.inf)


@dataclass(frozen=True)
class Tried:
    """Rows tried: whose, how many past events, and of each way of ranking each metric's value, by (way, metric)."""

    users: npt.NDArray[np.object_]
    past: npt.NDArray[np.int64]
    values: Mapping[tuple[str, str], npt.NDArray[np.float64]]

    @classmethod
    def of(cls, occasion: Occasion, relevant: npt.NDArray[np.bool_], scores: Mapping[str, npt.NDArray]) -> Tried:
        """Of scores (users, products) by way. Users who bought nothing that was offered at the cut are left out."""
        counts = relevant.sum(axis=1)
        some = counts > 0
        values: dict[tuple[str, str], npt.NDArray[np.float64]] = {}
        for way, of_all in scores.items():
            hit = hits(best_first(of_all[some], K), relevant[some])
            values |= {(way, name): metric(hit, counts[some]) for name, metric in _METRICS.items()}
        return cls(np.asarray(occasion.users, dtype=object)[some], occasion.past[some], values)

    @classmethod
    def together(cls, parts: Sequence[Tried]) -> Tried:
        return cls(
            np.concatenate([part.users for part in parts]),
            np.concatenate([part.past for part in parts]),
            {key: np.concatenate([part.values[key] for part in parts]) for key in parts[0].values},
        )


def topics(tried: Tried, discovered: Tried) -> list[tuple[Topic, Measured | Absent]]:
    """One for each segment; `discovered` are the same rows, of products on which their user had not acted."""
    parts = [(tried, segment) for segment in SEGMENTS] + [(discovered, DISCOVERY)]
    return [(Topic(s.name, f"{s.title}: next purchase", _HOW), _segment(part, s)) for part, s in parts]


def _segment(tried: Tried, segment: Segment) -> Measured | Absent:
    rows = np.flatnonzero((tried.past >= segment.least) & (tried.past <= segment.most))
    if not len(rows):
        return Absent("nobody of this kind bought after a cut that was tried")
    codes = np.unique(tried.users[rows], return_inverse=True)[1]
    sums = {key: np.bincount(codes, value[rows]).astype(np.float64) for key, value in tried.values.items()}
    counts = np.bincount(codes)
    ways = list(dict.fromkeys(way for way, _ in sums))
    levels = figures(*((way, metric, ratio(sums[way, metric], counts)) for metric in _METRICS for way in ways))
    best = ways[-1]
    gains = figures(
        *(
            (f"over {way}", f"difference in {metric}", ratio(sums[best, metric] - sums[way, metric], counts))
            for metric in _METRICS
            for way in ways[:-1]
        ),
        *(
            (f"over {way}", f"relative gain in {metric}", _gain(sums[best, metric], sums[way, metric]))
            for metric in _METRICS
            for way in ways[:-1]
        ),
    )
    return Measured((*levels, *gains), bars(levels))


def _gain(mine: npt.NDArray[np.float64], others: npt.NDArray[np.float64]) -> Estimate | None:
    """None where the others find anything for so few users that some resample would divide by nothing."""
    if (others > 0).sum() < _LEAST_FOUND:
        return None
    found = ratio(mine, others)
    return found and Estimate(found.value - 1, found.low - 1, found.high - 1, found.count)
