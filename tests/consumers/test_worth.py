"""The table that the demonstration ends with."""

from __future__ import annotations

from io import StringIO

from rich.console import Console

from encoders.evaluation.estimates import Estimate
from pipelines.consumers.next_purchase import WITH, WITHOUT
from pipelines.consumers.next_purchase_figures import DISCOVERY, SEGMENTS
from pipelines.consumers.worth import worth_table
from pipelines.evaluation.measure import Absent, Figure, Measured, Topic
from pipelines.evaluation.measures.interests import VISUAL_INTERESTS
from pipelines.evaluation.plots import bars
from pipelines.evaluation.report import Evaluation


def measured(*figures: Figure) -> Measured:
    return Measured(figures, bars(figures))


def text(truth: Evaluation, ranked: Evaluation) -> str:
    shown = StringIO()
    Console(width=200, file=shown).print(worth_table(truth, ranked))
    return shown.getvalue()


def test_taste_and_ranking_for_new_and_warm_users() -> None:
    taste = Figure("category", "user's favourite, 30 d half-life", Estimate(0.4, 0.3, 0.5, 130), 0.13)
    other = Figure("category", "user's favourite, 7 d half-life", Estimate(0.9, 0.8, 1.0, 130), 0.13)
    truth = Evaluation({}, [(VISUAL_INTERESTS, measured(taste, other))])
    new = measured(
        Figure(WITHOUT, "recall@10", Estimate(0.2, 0.1, 0.3, 40)),
        Figure(WITH, "recall@10", Estimate(0.3, 0.2, 0.4, 40)),
        Figure(f"over {WITHOUT}", "relative gain in recall@10", Estimate(0.5, 0.1, 0.9, 40)),
    )
    found = [
        (Topic(s.name, s.title, ""), new if s.name == "next_purchase_new" else Absent("nobody"))
        for s in (*SEGMENTS, DISCOVERY)
    ]
    shown = text(truth, Evaluation({}, found))
    assert "40.0%" in shown
    assert "13.0% by guessing" in shown
    assert "90.0%" not in shown
    assert "Users with 1 to 3 past events" in shown
    assert "20.0% without multimodal features" in shown
    assert "+50%" in shown
    assert "+10% to +90%" in shown
    assert shown.count("nobody") == len(SEGMENTS)
