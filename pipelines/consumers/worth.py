"""What the features are worth, on one table: taste recovered, and what they add to ranking for warm and new users."""

from __future__ import annotations

from collections.abc import Iterator

from rich.table import Table

from encoders.evaluation.estimates import Estimate
from pipelines.consumers.next_purchase import WITH, WITHOUT
from pipelines.consumers.next_purchase_figures import DISCOVERY, SEGMENTS, K
from pipelines.evaluation.measure import Absent, Measured
from pipelines.evaluation.measures.interests import VISUAL_INTERESTS
from pipelines.evaluation.report import Evaluation
from pipelines.tables.definitions import HALF_LIVES_DAYS

_RECALL = f"recall@{K}"
_FAVOURITE = f"user's favourite, {max(HALF_LIVES_DAYS)} d half-life"


def worth_table(truth: Evaluation, next_purchase: Evaluation) -> Table:
    """Of an evaluation against a sample shop's truth, and of the consumer that ranks next purchases."""
    table = Table(
        "question", "answer", "95%", "n", "compared with", caption="n: users; intervals from resampling users"
    )
    for row in (*_taste(truth), *_ranking(next_purchase)):
        table.add_row(*row)
    return table


def _taste(truth: Evaluation) -> Iterator[tuple[str, ...]]:
    outcome = _outcome(truth, VISUAL_INTERESTS.name)
    if isinstance(outcome, Absent):
        yield "Taste recovered from pictures", "absent", "", "", outcome.reason
        return
    for figure in outcome.figures:
        if figure.quantity == _FAVOURITE and figure.chance is not None:
            question = f"Is the favourite {figure.part} nearest to the interest in pictures?"
            yield (question, *_shown(figure.estimate), f"{figure.chance:.1%} by guessing the commonest")


def _ranking(found: Evaluation) -> Iterator[tuple[str, ...]]:
    for segment in (*SEGMENTS, DISCOVERY):
        outcome = _outcome(found, segment.name)
        if isinstance(outcome, Absent):
            yield f"{segment.title}: next purchase", "absent", "", "", outcome.reason
            continue
        rest = f"{outcome.figure(WITHOUT, _RECALL).estimate.value:.1%} without multimodal features"
        yield (
            f"{segment.title}: share of next purchases among the first {K}",
            *_shown(outcome.figure(WITH, _RECALL).estimate),
            rest,
        )
        gain = [
            f for f in outcome.figures if (f.part, f.quantity) == (f"over {WITHOUT}", f"relative gain in {_RECALL}")
        ]
        if gain:
            yield "  what multimodal features add, relatively", *_shown(gain[0].estimate, "+.0%"), ""


def _outcome(evaluation: Evaluation, name: str) -> Measured | Absent:
    return next(outcome for topic, outcome in evaluation.found if topic.name == name)


def _shown(estimate: Estimate, form: str = ".1%") -> tuple[str, str, str]:
    return f"{estimate.value:{form}}", f"{estimate.low:{form}} to {estimate.high:{form}}", f"{estimate.count:,}"
