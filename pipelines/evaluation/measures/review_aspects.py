"""Are the aspects that a review praises and blames found?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from encoders.evaluation.estimates import ratio
from pipelines.evaluation.measure import Absent, Evidence, Figure, Measure, Measured, figures
from pipelines.evaluation.measures.reviews import JudgedReview, judged_reviews, parts
from pipelines.evaluation.plots import bars

_POLARITY = {"praised": 1, "blamed": -1}
Pair = tuple[str, int]


def _take(evidence: Evidence) -> Measured | Absent:
    reviews = judged_reviews(evidence)
    if isinstance(reviews, Absent):
        return reviews
    # Of an aspect that nothing was planted of, the truth does not know what is said.
    planted = {aspect for review in reviews for aspect, _ in _meant(review, tuple(_POLARITY))}
    found: list[Figure] = []
    for part, some in parts(reviews).items():
        found += _figures(part, some, planted, tuple(_POLARITY))
    for side in _POLARITY:
        found += _figures(side, reviews, planted, (side,))
    return Measured(tuple(found), bars(found))


def _figures(part: str, reviews: list[JudgedReview], planted: set[str], sides: Sequence[str]) -> tuple[Figure, ...]:
    pairs = [(_meant(review, sides), _told(review, planted, sides)) for review in reviews]
    right = np.array([len(meant & told) for meant, told in pairs])
    meant, told = (np.array([len(pair[i]) for pair in pairs]) for i in (0, 1))
    return figures(
        (part, "precision", ratio(right, told)),
        (part, "recall", ratio(right, meant)),
        (part, "F1", ratio(2 * right, meant + told)),
    )


def _meant(review: JudgedReview, sides: Sequence[str]) -> set[Pair]:
    return {(aspect, _POLARITY[side]) for side in sides for aspect in review.meant[side]}


def _told(review: JudgedReview, planted: set[str], sides: Sequence[str]) -> set[Pair]:
    wanted = {_POLARITY[side] for side in sides}
    opinions = ((opinion["aspect"], opinion["polarity"]) for opinion in review.judged["opinions"])
    return {(aspect, polarity) for aspect, polarity in opinions if aspect in planted and polarity in wanted}


REVIEW_ASPECTS = Measure(
    "review_aspects",
    "Aspects of reviews",
    "Pairs of an aspect (quality, price, size, delivery, service, packaging) and whether it is praised or blamed, that "
    "a review was drawn to hold, against those published for its text.",
    _take,
)
