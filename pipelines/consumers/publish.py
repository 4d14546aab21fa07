"""Runs a consumer and puts what it found where people look: a page, its figures beside it, MLflow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from pipelines.consumers.accounts import PLAN as ACCOUNTS_PLAN
from pipelines.consumers.accounts import Question, backtested
from pipelines.consumers.ad_click import ad_click
from pipelines.consumers.backtest import Plan
from pipelines.consumers.churn import CHURN
from pipelines.consumers.next_purchase import PLAN as NEXT_PURCHASE_PLAN
from pipelines.consumers.next_purchase import next_purchase
from pipelines.consumers.registered import register_consumer
from pipelines.consumers.value import VALUE
from pipelines.consumers.workbench import Outcome, Workbench, workbench
from pipelines.errors import SettingsError
from pipelines.evaluation.report import Evaluation
from pipelines.evaluation.tracking import TrainingData, log_evaluation
from pipelines.releases.lineage import Lineage
from pipelines.releases.manifest import Release
from pipelines.releases.pin import live_release
from pipelines.settings import Settings
from pipelines.training.manifest import Manifest

CONSUMERS_EXPERIMENT = "mmfs/consumers"


@dataclass(frozen=True)
class Consumer:
    """A consumer by its title, how its cuts are laid where it has any, and what runs it."""

    title: str
    plan: Plan | None
    run: Callable[[Workbench, Plan | None], Outcome]


@dataclass(frozen=True)
class Learned:
    """What was found, MLflow's run id, and the URI of the registered model."""

    evaluation: Evaluation
    run_id: str
    model: str

    def __str__(self) -> str:
        return f"MLflow run {self.run_id}, model {self.model}"


def _of_accounts(title: str, question: Question) -> Consumer:
    return Consumer(title, ACCOUNTS_PLAN, lambda bench, plan: backtested(bench, question, plan or ACCOUNTS_PLAN))


CONSUMERS: Mapping[str, Consumer] = {
    "next-purchase": Consumer(
        "Next purchase",
        NEXT_PURCHASE_PLAN,
        lambda bench, plan: next_purchase(bench, plan or NEXT_PURCHASE_PLAN),
    ),
    "churn": _of_accounts("Churn", CHURN),
    "value": _of_accounts("Value", VALUE),
    "ad-click": Consumer("Ad click", None, lambda bench, plan: ad_click(bench)),
}


def publish_consumer(
    settings: Settings,
    name: str,
    page: Path,
    *,
    release: str | None = None,
    as_of: datetime | None = None,
    horizon_days: int | None = None,
    step_days: int | None = None,
) -> Learned:
    """What a consumer found with a live release (None: the default one); its newest model is registered.

    Raises SettingsError for a name that is none, HomeError, UnknownReleaseError, ConsumerError.
    """
    if name not in CONSUMERS:
        raise SettingsError(f"no consumer {name!r}; there are: {', '.join(CONSUMERS)}")
    consumer, chosen = CONSUMERS[name], live_release(settings, release)
    plan = _plan(consumer, horizon_days, step_days)
    with workbench(settings, chosen, as_of) as bench:
        outcome = consumer.run(bench, plan)
    evaluation = Evaluation(_facts(outcome, chosen), outcome.found, f"Features at work: {consumer.title.lower()}")
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(evaluation.to_html(), encoding="utf-8")
    page.with_suffix(".json").write_text(evaluation.to_json(), encoding="utf-8")
    data = [
        TrainingData(pulled.name, pulled.manifest.service, pulled.manifest.file_checksum, pulled.manifest.text())
        for pulled in outcome.training_sets
    ]
    run_id = log_evaluation(evaluation, chosen, settings, CONSUMERS_EXPERIMENT, data)
    lineage = Lineage.of(*(pulled.manifest for pulled in outcome.training_sets))
    model = register_consumer(settings, name, consumer.title, outcome.model, lineage, run_id)
    return Learned(evaluation, run_id, model)


def _plan(consumer: Consumer, horizon_days: int | None, step_days: int | None) -> Plan | None:
    if consumer.plan is None:
        if horizon_days or step_days:
            raise SettingsError(f"{consumer.title.lower()} has no cuts; leave --horizon-days and --step-days out")
        return None
    usual = consumer.plan
    return replace(usual, horizon_days=horizon_days or usual.horizon_days, step_days=step_days or usual.step_days)


def _facts(outcome: Outcome, release: Release) -> dict[str, str]:
    facts = dict(outcome.facts)
    facts |= {f"data of {pulled.name}": _data(pulled.manifest) for pulled in outcome.training_sets}
    facts |= {"release": release.name}
    return facts | {f"{part} encoder": spec.key for part, spec in release.encoders.items()}


def _data(manifest: Manifest) -> str:
    return f"{manifest.rows:,} rows of service {manifest.service}_{manifest.release}, {manifest.file_checksum}"
