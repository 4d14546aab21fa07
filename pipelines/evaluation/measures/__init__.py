"""Every measure there is, in the order of the report."""

from __future__ import annotations

from pipelines.evaluation.measure import Measure
from pipelines.evaluation.measures.account_pairs import ACCOUNT_PAIRS
from pipelines.evaluation.measures.device_pairs import DEVICE_PAIRS
from pipelines.evaluation.measures.dirty_files import DIRTY_FILES
from pipelines.evaluation.measures.dirty_rows import DIRTY_ROWS
from pipelines.evaluation.measures.interests import TEXT_INTERESTS, VISUAL_INTERESTS
from pipelines.evaluation.measures.review_aspects import REVIEW_ASPECTS
from pipelines.evaluation.measures.review_sentiment import REVIEW_SENTIMENT
from pipelines.evaluation.measures.tags import TAGS
from pipelines.evaluation.measures.taste_changes import TASTE_CHANGES

MEASURES: tuple[Measure, ...] = (
    VISUAL_INTERESTS,
    TEXT_INTERESTS,
    TASTE_CHANGES,
    TAGS,
    DIRTY_ROWS,
    DIRTY_FILES,
    DEVICE_PAIRS,
    ACCOUNT_PAIRS,
    REVIEW_SENTIMENT,
    REVIEW_ASPECTS,
)
