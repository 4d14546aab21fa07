"""Is a review's sentiment what was meant?"""

from __future__ import annotations

from collections import Counter

from pipelines.evaluation.estimates import share
from pipelines.evaluation.measure import Absent, Evidence, Figure, Measure, Measured, figures
from pipelines.evaluation.measures.reviews import judged_reviews
from pipelines.evaluation.plots import bars

COLUMN = "sentiment"


def _take(evidence: Evidence) -> Measured | Absent:
    judged = judged_reviews(evidence, [COLUMN])
    if judged is None:
        return Absent(f"no table gives a review's {COLUMN}: release {evidence.published.release.name} has no such head")
    meant = {row["review_id"]: row["sentiment"] for row in evidence.truth.rows("reviews")}
    pairs = [(meant[review], row[COLUMN]) for review, row in judged.items() if review in meant and row[COLUMN]]
    if not pairs:
        return Absent("no review of the truth has been judged")
    common = Counter(truth for truth, _ in pairs).most_common(1)[0][1] / len(pairs)
    found: list[Figure] = [*figures(("all reviews", "accuracy", share([a == b for a, b in pairs]), common))]
    for label in sorted({truth for truth, _ in pairs}):
        found += figures((label, "recall", share([found == label for truth, found in pairs if truth == label])))
    return Measured(tuple(found), bars(found))


REVIEW_SENTIMENT = Measure(
    "review_sentiment",
    "Sentiment of reviews",
    "Whether the published sentiment of a review (positive, negative or mixed) is what its words were drawn to say. "
    "Chance: always the commonest.",
    _take,
)
