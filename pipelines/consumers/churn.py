"""Who will not come back within a month? A model on the features of the service `risk`, against rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipelines.consumers.acts import Acts
from pipelines.consumers.backtest import Backtest, Fold, Plan
from pipelines.consumers.classifier_metrics import auc, difference, estimate, lift
from pipelines.consumers.pulled import Numbers, Pulled, entity_rows
from pipelines.consumers.trees import Growth, Trees
from pipelines.consumers.workbench import Outcome, Workbench
from pipelines.errors import ConsumerError
from pipelines.evaluation.measure import Absent, Measured, Topic, figures
from pipelines.evaluation.plots import bars
from pipelines.tables.features import USER_ACTIVITY, USER_REVIEW_PROFILE, USER_VALUE

PLAN = Plan(horizon_days=30, step_days=7, warm_up_days=10, tests=6)
MODEL, RFM, RECENCY = "model", "RFM rules", "days since the last act"
_TABLES = (USER_ACTIVITY, USER_VALUE, USER_REVIEW_PROFILE)
_GROWTH = Growth(trees=150, learning_rate=0.05, leaves=8, smallest_leaf=30)
_HOW = (
    "Accounts that acted in the {days} days before a cut; churned are those of whom no act is seen in the {days} days "
    "after it, on linked devices neither. The model of each cut is fitted on cuts whose labels were all known by "
    "then. RFM rules rank by the sum of the recency, frequency and monetary scores of user_value (none ever counts as "
    "0), ties by days since the last purchase. Lift: how many times more often churned accounts are met in the tenth "
    "that is ranked first. Accounts are resampled with all their cuts."
)


@dataclass(frozen=True)
class _Tried:
    """Rows tried: whose, whether churned, each way's scores, greatest for those who leave first, and the model."""

    users: npt.NDArray[np.object_]
    churned: npt.NDArray[np.bool_]
    scores: Mapping[str, npt.NDArray[np.float64]]
    model: Trees

    @classmethod
    def together(cls, parts: Sequence[_Tried]) -> _Tried:
        return cls(
            np.concatenate([part.users for part in parts]),
            np.concatenate([part.churned for part in parts]),
            {way: np.concatenate([part.scores[way] for part in parts]) for way in parts[0].scores},
            parts[-1].model,
        )


def churn(bench: Workbench, plan: Plan = PLAN) -> Outcome:
    """A rolling backtest. Raises ConsumerError where there is too little behaviour."""
    backtest = plan.cuts(bench.acts.start, bench.acts.end)
    rows = {cut: labels(bench.acts, cut, backtest.horizon, bench.allowed) for cut in backtest.used}
    users = [user for cut in rows for user in rows[cut].index]
    moments = [cut for cut in rows for _ in rows[cut].index]
    if not users:
        raise ConsumerError("nobody who may be personalised acted before a cut; bring more behaviour in")
    pulled = bench.puller.pull("churn_users", entity_rows("user_id", users, moments), "risk")
    numbers = {cut: pulled.numbers(_TABLES, cut) for cut in rows}
    folds = [(fold, tried) for fold in backtest.folds() if (tried := _try(fold, rows, numbers)) is not None]
    if not folds:
        raise ConsumerError("at every cut that could be tried all accounts churned, or none; take another horizon")
    by_cut = [(_topic(backtest, f"_{fold.test:%Y_%m_%d}", f", cut of {fold.test:%Y-%m-%d}"), tried)
              for fold, tried in folds]  # fmt: skip
    whole = (_topic(backtest, "", ""), _Tried.together([tried for _, tried in folds]))
    return Outcome(
        _facts(bench, backtest, rows, pulled),
        [(topic, _measured(tried)) for topic, tried in (whole, *by_cut)],
        [pulled],
        folds[-1][1].model.table(next(iter(numbers.values())).names),
    )


def labels(acts: Acts, cut: datetime, horizon: timedelta, allowed: frozenset[str]) -> pd.Series:
    """Whether each account that acted in the horizon before the cut is silent in the horizon after it, by user_id."""
    before = acts.before(cut)
    active = before.loc[before["at"] >= cut - horizon, "user_id"].unique()
    users = sorted(set(active) & allowed)
    back = set(acts.following(cut, cut + horizon)["user_id"])
    return pd.Series([user not in back for user in users], index=pd.Index(users, dtype=object), dtype=bool)


def rfm(numbers: Numbers) -> npt.NDArray[np.float64]:
    """Scores of the rules, greatest for those who should leave first."""
    scores = np.stack([numbers.column(f"{part}_score") for part in ("recency", "frequency", "monetary")])
    worth = np.nan_to_num(scores.astype(np.float64)).sum(axis=0)
    silent = numbers.column("last_purchase_at").astype(np.float64)
    # Less than one step of the sum; most for those who never bought.
    return -worth + np.where(np.isnan(silent), 1.0, silent / (silent + 1)) / 2


def _try(fold: Fold, rows: Mapping[datetime, pd.Series], numbers: Mapping[datetime, Numbers]) -> _Tried | None:
    learned = np.concatenate([rows[cut].to_numpy() for cut in fold.train])
    churned, tried = rows[fold.test].to_numpy(), numbers[fold.test]
    if len(set(learned)) < 2 or len(set(churned)) < 2:
        return None
    model = Trees(_GROWTH).fit(np.concatenate([numbers[cut].values for cut in fold.train]), learned)
    silent = np.nan_to_num(tried.column("last_event_at").astype(np.float64), nan=np.inf)
    scores = {RFM: rfm(tried), RECENCY: silent, MODEL: model.scores(tried.values)}
    return _Tried(rows[fold.test].index.to_numpy(), churned, scores, model)


def _topic(backtest: Backtest, suffix: str, title: str) -> Topic:
    days = backtest.horizon.days
    return Topic(f"churn{suffix}", f"Churn in {days} days{title}", _HOW.format(days=days))


def _measured(tried: _Tried) -> Measured | Absent:
    y, users, mine = tried.churned, tried.users, tried.scores[MODEL]
    levels = figures(
        *((way, "AUC", estimate(auc, y, scores, users), 0.5) for way, scores in tried.scores.items()),
        *((way, "lift at 10%", estimate(lift, y, scores, users), 1.0) for way, scores in tried.scores.items()),
    )
    gains = figures(
        *(
            (f"model over {way}", f"{name}, difference", difference(statistic, y, mine, tried.scores[way], users))
            for name, statistic in (("AUC", auc), ("lift at 10%", lift))
            for way in (RFM, RECENCY)
        )
    )
    return Measured((*levels, *gains), bars(levels))


def _facts(bench: Workbench, backtest: Backtest, rows: Mapping[datetime, pd.Series], pulled: Pulled) -> dict[str, str]:
    churned = np.concatenate([series.to_numpy() for series in rows.values()])
    return {
        "consumer": "churn",
        "label": f"no act within {backtest.horizon.days} days after a cut, of accounts that acted in as many before",
        "cuts": f"{len(rows)}, {min(rows):%Y-%m-%d} to {max(rows):%Y-%m-%d}",
        "cuts tried": ", ".join(f"{fold.test:%Y-%m-%d}" for fold in backtest.folds()),
        "rows": f"{pulled.manifest.rows:,} of accounts at cuts, {churned.mean():.1%} churned",
        "accounts that may be personalised": f"{len(bench.allowed):,} of {len(bench.acts.accounts):,}",
    }
