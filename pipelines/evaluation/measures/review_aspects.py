"""Are the aspects that a review praises and blames found?"""

from __future__ import annotations

import numpy as np

from pipelines.evaluation.estimates import ratio
from pipelines.evaluation.measure import Absent, Evidence, Figure, Measure, Measured, figures
from pipelines.evaluation.measures.reviews import judged_reviews
from pipelines.evaluation.plots import bars

_SIDES = {"praised": "aspects_praised", "blamed": "aspects_blamed"}


def _take(evidence: Evidence) -> Measured | Absent:
    judged = judged_reviews(evidence, list(_SIDES.values()))
    if judged is None:
        return Absent(
            "no table gives a review's aspects_praised and aspects_blamed: "
            f"release {evidence.published.release.name} has no such head"
        )
    meant = [row for row in evidence.truth.rows("reviews") if row["review_id"] in judged]
    found: list[Figure] = []
    for side, column in _SIDES.items():
        pairs = [(set(row[side]), set(judged[row["review_id"]][column] or ())) for row in meant]
        right = np.array([len(true & told) for true, told in pairs])
        found += figures(
            (side, "precision", ratio(right, [len(told) for _, told in pairs])),
            (side, "recall", ratio(right, [len(true) for true, _ in pairs])),
        )
    return Measured(tuple(found), bars(found)) if found else Absent("no review of the truth has been judged")


REVIEW_ASPECTS = Measure(
    "review_aspects",
    "Aspects of reviews",
    "Aspects (quality, price, size, delivery, service, packaging) that a review was drawn to praise or to blame, "
    "against those published for it.",
    _take,
)
