"""How near users' interests are to products, in the encoder's space."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pipelines.consumers.pulled import Floats32
from pipelines.tables.features import (
    USER_SEARCH_INTENT,
    USER_TEXT_INTEREST,
    USER_VIDEO_INTEREST,
    USER_VISUAL_INTEREST,
)
from pipelines.tables.schema import Table


class Pair(NamedTuple):
    """A user's vector feature, the products' vector it is compared with, and whose mean is taken off it.

    What all vectors of a modality have in common says nothing of taste. Queries come from the text tower: of them
    the mean of the products' texts is taken off, also where they are compared with pictures.
    """

    name: str
    table: Table
    feature: str
    product: str
    centre: str


PAIRS = (
    Pair("visual_7d", USER_VISUAL_INTEREST, "mean_7d", "image_vector", "image_vector"),
    Pair("visual_30d", USER_VISUAL_INTEREST, "mean_30d", "image_vector", "image_vector"),
    Pair("text_7d", USER_TEXT_INTEREST, "mean_7d", "text_vector", "text_vector"),
    Pair("text_30d", USER_TEXT_INTEREST, "mean_30d", "text_vector", "text_vector"),
    Pair("video_30d", USER_VIDEO_INTEREST, "mean_30d", "video_vector", "video_vector"),
    Pair("search_image_7d", USER_SEARCH_INTENT, "mean_7d", "image_vector", "text_vector"),
    Pair("search_text_7d", USER_SEARCH_INTENT, "mean_7d", "text_vector", "text_vector"),
    Pair("search_image_30d", USER_SEARCH_INTENT, "mean_30d", "image_vector", "text_vector"),
    Pair("search_text_30d", USER_SEARCH_INTENT, "mean_30d", "text_vector", "text_vector"),
)


def centred(vectors: Floats32, centre: npt.NDArray[np.floating]) -> Floats32:
    """Unit vectors of what is left when the centre is taken off; NaN where there is no vector, or nothing is left."""
    left = vectors - centre
    norm = np.linalg.norm(left, axis=1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        found: Floats32 = np.where(norm > 0, left / norm, np.nan).astype(np.float32)
    return found


def mean_of(vectors: Floats32) -> npt.NDArray[np.floating]:
    """The mean of the rows that have a vector."""
    found: npt.NDArray[np.floating] = vectors[~np.isnan(vectors[:, 0])].mean(axis=0)
    return found


def standardised(scores: Floats32) -> Floats32:
    """Scores of each user (users, products) by their own mean and deviation over the products; NaN stays NaN."""
    known = ~np.isnan(scores)
    count = np.maximum(known.sum(axis=1, keepdims=True), 1)
    filled = np.where(known, scores, 0)
    mean = filled.sum(axis=1, keepdims=True) / count
    deviation = np.sqrt((np.where(known, scores - mean, 0) ** 2).sum(axis=1, keepdims=True) / count)
    found: Floats32 = ((scores - mean) / np.where(deviation > 0, deviation, 1)).astype(np.float32)
    return found
