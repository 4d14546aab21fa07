"""Each consumer, end to end on a home in which the truth is simple; and nothing of the future is seen."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.consumers.accounts import MODEL, backtested
from pipelines.consumers.ad_click import WITH as AD_WITH
from pipelines.consumers.ad_click import WITHOUT as AD_WITHOUT
from pipelines.consumers.ad_click import ad_click
from pipelines.consumers.backtest import Plan
from pipelines.consumers.churn import CHURN
from pipelines.consumers.next_purchase import WITH, WITHOUT, next_purchase
from pipelines.consumers.publish import CONSUMERS_EXPERIMENT, Learned, publish_consumer
from pipelines.consumers.value import BUYING, VALUE
from pipelines.consumers.workbench import Outcome
from pipelines.errors import ConsumerError, SettingsError
from pipelines.evaluation.measure import Measured
from pipelines.releases.mlflow_client import mlflow_client
from tests.consumers.taste_shop import PEOPLE, TasteShop
from tests.evaluation.planted import RELEASE

ONE_FOLD = Plan(horizon_days=7, step_days=7, warm_up_days=20, tests=1)


def measured(outcome: Outcome, name: str) -> Measured:
    found = next(found for topic, found in outcome.found if topic.name == name)
    assert isinstance(found, Measured), found
    return found


def test_next_purchase_is_told_by_the_vectors(shop: TasteShop, tmp_path: Path) -> None:
    outcome = next_purchase(shop.bench(tmp_path / "sets"), ONE_FOLD)
    found = measured(outcome, "next_purchase")
    values = {way: found.figure(way, "recall@10").estimate for way in (WITH, WITHOUT, "popularity", "item-kNN", "ALS")}
    # Ten of 24 products by chance; ten of the twelve of one's taste at best.
    assert values[WITH].value > 0.7
    assert values["popularity"].value < 0.6
    gain = found.figure(f"over {WITHOUT}", "difference in recall@10").estimate
    assert gain.value == pytest.approx(values[WITH].value - values[WITHOUT].value)
    assert gain.low > 0.1
    # Who refuses personalisation is nobody's row.
    assert values[WITH].count <= PEOPLE - 1
    assert {pulled.manifest.service for pulled in outcome.training_sets} == {"recommendation", "product_ranking"}
    assert all(pulled.manifest.rows_without_consent == 0 for pulled in outcome.training_sets)


def test_churn_is_told_by_activity(shop: TasteShop, tmp_path: Path) -> None:
    plan = Plan(horizon_days=14, step_days=2, warm_up_days=20, tests=4)
    outcome = backtested(shop.bench(tmp_path / "sets"), CHURN, plan)
    assert measured(outcome, "churn").figure(MODEL, "AUC").estimate.value > 0.8
    # Probabilities of the registered model were held against all that was tried.
    assert outcome.model.judged > outcome.model.positives >= 20
    assert measured(outcome, "churn").figure(MODEL, "calibration error").estimate.value < 0.25
    assert "churn_2026_05_05" in {topic.name for topic, _ in outcome.found}


def test_spend_is_compared_with_what_is_to_be_expected(shop: TasteShop, tmp_path: Path) -> None:
    plan = Plan(horizon_days=14, step_days=2, warm_up_days=20, tests=4)
    outcome = backtested(shop.bench(tmp_path / "sets"), VALUE, plan)
    found = measured(outcome, "value")
    assert {figure.part for figure in found.figures} >= {MODEL, BUYING, f"{MODEL} over {BUYING}"}
    # Everybody who is still there buys as much: the first tenth holds about a tenth, at most what is spent by a few.
    assert 0.05 < found.figure(BUYING, "share of spend in the first tenth").estimate.value < 0.4
    assert "among the fifth of accounts" in outcome.facts["label"]


def test_ad_clicks_are_told_by_the_vectors(shop: TasteShop, tmp_path: Path) -> None:
    outcome = ad_click(shop.bench(tmp_path / "sets"))
    found = measured(outcome, "ad_click")
    assert found.figure(AD_WITH, "AUC").estimate.value > 0.8
    gain = found.figure(f"{AD_WITH} over {AD_WITHOUT}", "AUC, difference").estimate
    assert gain.low > 0.1
    assert "no place of an ad" in outcome.found[0][0].explanation


def test_a_run_says_data_release_figures_and_plots(shop: TasteShop, learned: Learned) -> None:
    page = Path(shop.settings.home).parent / "ads.html"
    found, run_id = learned.evaluation, learned.run_id
    assert "<svg" in page.read_text()
    assert "Features at work: ad click" in page.read_text()
    with mlflow_client(shop.settings) as client:
        run = client.get_run(run_id)
        experiment = client.get_experiment(run.info.experiment_id)
        assert experiment.name == CONSUMERS_EXPERIMENT
        assert run.data.tags["mmfs.release"] == RELEASE.name
        assert run.data.metrics[f"ad_click/{AD_WITH}/AUC"] > 0.8
        assert run.inputs is not None
        sets = {made.dataset.name: made.dataset for made in run.inputs.dataset_inputs}
        assert set(sets) == {"ad_users", "ad_products"}
        assert f"sha256:{sets['ad_users'].digest}" in found.facts["data of ad_users"]
        files = {file.path for file in client.list_artifacts(run_id)}
        assert files >= {"evaluation.html", "plots", "ad_users.manifest.json"}


def test_what_cannot_be_learned_is_said(shop: TasteShop, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no consumer 'fraud'"):
        publish_consumer(shop.settings, "fraud", tmp_path / "page.html")
    with pytest.raises(SettingsError, match="ad click has no cuts"):
        publish_consumer(shop.settings, "ad-click", tmp_path / "page.html", step_days=3)
    with pytest.raises(ConsumerError, match="behaviour spans"):
        backtested(shop.bench(tmp_path / "sets"), CHURN, Plan(horizon_days=70, step_days=7, warm_up_days=5))
