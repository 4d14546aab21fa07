"""A drawn shop, run, and what of its planted truth the features hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pipelines.evaluation.evaluate import evaluate
from pipelines.evaluation.measure import Figure, Measured
from pipelines.evaluation.report import Evaluation
from pipelines.evaluation.truth import Truth
from pipelines.releases.pin import default_release
from pipelines.run import new_run, run_steps
from pipelines.sample_shop import write_sample_shop
from pipelines.settings import load_settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


# The whole pipeline on a shop of the demo's size.
pytestmark = pytest.mark.soak


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory, spark: SparkSession) -> Evaluation:
    folder = tmp_path_factory.mktemp("planted")
    shop = write_sample_shop(folder / "shop", users=250, days=45)
    settings = load_settings(home=str(folder / "home"), consent_default={"personalisation": "allow"})
    run_steps(new_run(settings, shop.end), str(shop.path), steps=("ingest", "encode", "features"))
    return evaluate(settings, default_release(settings), Truth(shop.truth))


def _figures(found: Evaluation, name: str) -> dict[tuple[str, str], Figure]:
    outcome = next(outcome for measure, outcome in found.found if measure.name == name)
    assert isinstance(outcome, Measured), outcome
    return {(figure.part, figure.quantity): figure for figure in outcome.figures}


def test_every_kind_of_dirt_is_found_and_nothing_else(found: Evaluation) -> None:
    rows = _figures(found, "dirty_rows")
    assert len(rows) > 30
    assert {part: figure.estimate.value for part, figure in rows.items() if figure.estimate.value != 1} == {}
    files = _figures(found, "dirty_files")
    assert {part: figure.estimate.value for part, figure in files.items() if figure.estimate.value != 1} == {}


def test_all_links_that_the_shop_was_told_are_known_and_the_others_are_not(found: Evaluation) -> None:
    pairs = _figures(found, "device_pairs")
    assert pairs["of those the shop was told", "recall"].estimate.value == 1
    assert pairs["device and account", "recall"].estimate.value < 1
    assert pairs["device and account", "precision"].estimate.value < 1


def test_interests_hold_more_of_the_taste_than_guessing(found: Evaluation) -> None:
    for name in ("visual_interests", "text_interests"):
        figure = _figures(found, name)["category", "user's favourite, 30 d half-life"]
        assert figure.chance is not None
        assert figure.estimate.low > figure.chance, name
