"""What becomes of accounts: a model on the features of the service `risk`, tried cut after cut against rules."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from encoders.evaluation.estimates import Estimate
from pipelines.consumers.acts import Acts
from pipelines.consumers.backtest import Backtest, Fold, Plan
from pipelines.consumers.classifier_metrics import Statistic, calibration_error, difference, estimate
from pipelines.consumers.pulled import Numbers, Pulled, entity_rows
from pipelines.consumers.tree_table import TreeTable
from pipelines.consumers.trees import Growth, Trees
from pipelines.consumers.workbench import Outcome, Workbench
from pipelines.errors import ConsumerError
from pipelines.evaluation.measure import Measured, Topic, figures
from pipelines.evaluation.plots import bars
from pipelines.tables.features import USER_ACTIVITY, USER_REVIEW_PROFILE, USER_VALUE
from pipelines.tags.calibration import fit_curve
from pipelines.tags.confidence import Curve

PLAN = Plan(horizon_days=30, step_days=7, warm_up_days=10, tests=6)
MODEL, RFM = "model", "RFM rules"
_TABLES = (USER_ACTIVITY, USER_VALUE, USER_REVIEW_PROFILE)
_GROWTH = Growth(trees=150, learning_rate=0.05, leaves=8, smallest_leaf=30)

Users = npt.NDArray[np.object_]
Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]


class Labels(NamedTuple):
    """What became of accounts after a cut: ids ascending, whether it holds (n,), and an amount, none negative (n,)."""

    users: Users
    holds: Bools
    amount: Floats


class Statistics(NamedTuple):
    """A figure of scores: its name, how it is taken, whether of the amounts instead of yes and no, and by chance."""

    name: str
    of: Statistic
    of_amounts: bool
    chance: float


@dataclass(frozen=True)
class Question:
    """What is asked of accounts. Texts may hold `{days}`, the horizon.

    `labels` takes behaviour of those who may be asked about, cut and horizon; `rules` takes behaviour, cut, horizon,
    accounts and their features at the cut, and gives scores by way, greatest for whom it should hold.
    """

    name: str
    title: str
    how: str
    label: str
    labels: Callable[[Acts, datetime, timedelta], Labels]
    rules: Callable[[Acts, datetime, timedelta, Users, Numbers], Mapping[str, Floats]]
    statistics: tuple[Statistics, ...]


@dataclass(frozen=True)
class _Tried:
    """Rows tried, each way's scores of them, and the model."""

    rows: Labels
    scores: Mapping[str, Floats]
    model: TreeTable

    @classmethod
    def together(cls, parts: Sequence[_Tried]) -> _Tried:
        rows = Labels(*(np.concatenate(column) for column in zip(*(part.rows for part in parts), strict=True)))
        scores = {way: np.concatenate([part.scores[way] for part in parts]) for way in parts[0].scores}
        return cls(rows, scores, parts[-1].model)

    def curve(self) -> Curve | None:
        """From the model's scores to probabilities that hold for these rows; None of too few to say."""
        return fit_curve(self.scores[MODEL], np.zeros(len(self.rows.users)), self.rows.holds)


def active_before(acts: Acts, cut: datetime, horizon: timedelta) -> list[str]:
    """Accounts that acted in the horizon before the cut, ascending."""
    before = acts.before(cut)
    return sorted(set(before.loc[before["at"] >= cut - horizon, "user_id"]))


def rfm(numbers: Numbers) -> Floats:
    """Sum of the scores of user_value, ties by days since the last purchase: greatest for the best customers."""
    scores = np.stack([numbers.column(f"{part}_score") for part in ("recency", "frequency", "monetary")])
    worth = np.nan_to_num(scores.astype(np.float64)).sum(axis=0)
    silent = numbers.column("last_purchase_at").astype(np.float64)
    # Less than one step of the sum; most for those who never bought.
    found: Floats = worth - np.where(np.isnan(silent), 1.0, silent / (silent + 1)) / 2
    return found


def backtested(bench: Workbench, question: Question, plan: Plan) -> Outcome:
    """A rolling backtest; the model is the newest cut's, calibrated on what all cuts' models said of the time to come.

    Raises ConsumerError where there is too little behaviour.
    """
    backtest = plan.cuts(bench.acts.start, bench.acts.end)
    acts = bench.acts.only(bench.allowed)
    rows = {cut: question.labels(acts, cut, backtest.horizon) for cut in backtest.used}
    users = [user for cut in rows for user in rows[cut].users]
    moments = [cut for cut in rows for _ in rows[cut].users]
    if not users:
        raise ConsumerError("nobody who may be personalised acted before a cut; bring more behaviour in")
    pulled = bench.puller.pull(f"{question.name}_users", entity_rows("user_id", users, moments), "risk")
    numbers = {cut: pulled.numbers(_TABLES, cut) for cut in rows}
    tried = {}
    for fold in backtest.folds():
        found = _try(acts, question, backtest.horizon, fold, rows, numbers)
        if found is not None:
            tried[fold.test] = found
    if not tried:
        raise ConsumerError(
            f"at every cut that could be tried {question.label.format(days=backtest.horizon.days)} holds for all "
            "accounts, or for none; take another horizon"
        )
    whole = _Tried.together(list(tried.values()))
    curve = whole.curve()
    by_cut = [(_topic(question, backtest, f"_{cut:%Y_%m_%d}", f", cut of {cut:%Y-%m-%d}"), _measured(question, part))
              for cut, part in tried.items()]  # fmt: skip
    return Outcome(
        _facts(bench, question, backtest, rows, pulled),
        [(_topic(question, backtest, "", ""), _measured(question, whole, _calibrated(list(tried.values())))), *by_cut],
        [pulled],
        whole.model.calibrated(curve) if curve else whole.model,
    )


def _try(
    acts: Acts,
    question: Question,
    horizon: timedelta,
    fold: Fold,
    rows: Mapping[datetime, Labels],
    numbers: Mapping[datetime, Numbers],
) -> _Tried | None:
    learned = np.concatenate([rows[cut].holds for cut in fold.train])
    asked, known = rows[fold.test], numbers[fold.test]
    if len(set(learned)) < 2 or len(set(asked.holds)) < 2:
        return None
    model = Trees(_GROWTH).fit(np.concatenate([numbers[cut].values for cut in fold.train]), learned)
    scores = dict(question.rules(acts, fold.test, horizon, asked.users, known))
    return _Tried(asked, scores | {MODEL: model.scores(known.values)}, model.table(known.names))


def _calibrated(tried: Sequence[_Tried]) -> Estimate | None:
    """How far the model's probabilities are from the truth at each cut, calibrated on all other cuts."""
    told, rows = [], []
    for part in tried:
        others = [other for other in tried if other is not part]
        curve = _Tried.together(others).curve() if others else None
        if curve is not None:
            told.append(curve.confidence(part.scores[MODEL], np.zeros(len(part.rows.users))))
            rows.append(part.rows)
    if not told:
        return None
    holds, users = (np.concatenate(values) for values in ([r.holds for r in rows], [r.users for r in rows]))
    return estimate(calibration_error, holds, np.concatenate(told), users)


def _topic(question: Question, backtest: Backtest, suffix: str, title: str) -> Topic:
    days = backtest.horizon.days
    return Topic(f"{question.name}{suffix}", question.title.format(days=days) + title, question.how.format(days=days))


def _measured(question: Question, tried: _Tried, calibration: Estimate | None = None) -> Measured:
    rows, mine = tried.rows, tried.scores[MODEL]
    truths = [(part, rows.amount if part.of_amounts else rows.holds) for part in question.statistics]
    levels = figures(
        *((way, part.name, estimate(part.of, truth, scores, rows.users), part.chance)
          for part, truth in truths for way, scores in tried.scores.items())
    )  # fmt: skip
    gains = figures(
        *((f"{MODEL} over {way}", f"{part.name}, difference", difference(part.of, truth, mine, scores, rows.users))
          for part, truth in truths for way, scores in tried.scores.items() if way != MODEL)
    )  # fmt: skip
    return Measured((*levels, *gains, *figures((MODEL, "calibration error", calibration))), bars(levels))


def _facts(
    bench: Workbench, question: Question, backtest: Backtest, rows: Mapping[datetime, Labels], pulled: Pulled
) -> dict[str, str]:
    holds = np.concatenate([labels.holds for labels in rows.values()])
    return {
        "consumer": question.name,
        "label": question.label.format(days=backtest.horizon.days),
        "cuts": f"{len(rows)}, {min(rows):%Y-%m-%d} to {max(rows):%Y-%m-%d}",
        "cuts tried": ", ".join(f"{fold.test:%Y-%m-%d}" for fold in backtest.folds()),
        "rows": f"{pulled.manifest.rows:,} of accounts at cuts, of {holds.mean():.1%} of them it holds",
        "accounts that may be personalised": f"{len(bench.allowed):,} of {len(bench.acts.accounts):,}",
    }
