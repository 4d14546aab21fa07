"""Is a review's sentiment what was meant?"""

from __future__ import annotations

from collections import Counter

from encoders.evaluation.estimates import macro_f1, share
from pipelines.evaluation.measure import Absent, Evidence, Figure, Measure, Measured, figures
from pipelines.evaluation.measures.reviews import judged_reviews, parts
from pipelines.evaluation.plots import bars


def _take(evidence: Evidence) -> Measured | Absent:
    reviews = judged_reviews(evidence)
    if isinstance(reviews, Absent):
        return reviews
    found: list[Figure] = []
    for part, some in parts(reviews).items():
        pairs = [(review.meant["sentiment"], review.judged["label"]) for review in some]
        common = Counter(truth for truth, _ in pairs).most_common(1)[0][1] / len(pairs)
        found += figures(
            (part, "accuracy", share([a == b for a, b in pairs]), common),
            (part, "macro-F1", macro_f1(*zip(*pairs, strict=True))),
        )
    for label in sorted({review.meant["sentiment"] for review in reviews}):
        mine = [review for review in reviews if review.meant["sentiment"] == label]
        found += figures((label, "recall", share([review.judged["label"] == label for review in mine])))
    return Measured(tuple(found), bars(found))


REVIEW_SENTIMENT = Measure(
    "review_sentiment",
    "Sentiment of reviews",
    "Whether the published sentiment of a review (positive, negative or mixed) is what its words were drawn to say. "
    "Macro-F1 is the mean over these. Chance: always the commonest.",
    _take,
)
