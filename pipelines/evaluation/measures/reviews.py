"""What the release's heads published of each review of the truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pipelines.evaluation.measure import Absent, Evidence
from pipelines.tables.aggregates import TEXT_JUDGEMENTS
from pipelines.tables.sources import REVIEWS

LANGUAGES = ("zh", "en")


@dataclass(frozen=True)
class JudgedReview:
    """A review as it was meant and as it was judged; `language` is its letters'."""

    meant: dict[str, Any]
    judged: dict[str, Any]

    @property
    def language(self) -> str:
        return str(self.judged["language"])


def judged_reviews(evidence: Evidence) -> list[JudgedReview] | Absent:
    """Reviews of the truth that have a judgement, by id; or why there is none. Raises TableNotFoundError."""
    release = evidence.published.release
    if not release.serves(TEXT_JUDGEMENTS):
        return Absent(f"release {release.name} has no heads, so no text is judged")
    rows = evidence.published.of_release(TEXT_JUDGEMENTS, ["content_hash", "label", "language", "opinions"])
    by_text = {row["content_hash"]: row for row in rows.to_pylist()}
    silver = evidence.published.rows(REVIEWS, ["review_id", "content_hash"]).to_pylist()
    text_of = {row["review_id"]: row["content_hash"] for row in silver}
    found = [
        JudgedReview(meant, by_text[text])
        for meant in evidence.truth.rows("reviews")
        if (text := text_of.get(meant["review_id"])) in by_text
    ]
    return found or Absent("no review of the truth has been judged")


def parts(reviews: list[JudgedReview]) -> dict[str, list[JudgedReview]]:
    """All of them, and those of each language that occurs."""
    of_language = {language: [r for r in reviews if r.language == language] for language in LANGUAGES}
    return {"all reviews": reviews} | {f"in {name}": of for name, of in of_language.items() if of}
