"""Who will be worth most: among the shop's best spenders of the horizon to come."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

import numpy as np
import pandas as pd

from pipelines.consumers.accounts import RFM, Floats, Labels, Question, Statistics, Users, active_before, rfm
from pipelines.consumers.acts import Acts
from pipelines.consumers.buying import BgNbd, GammaGamma, Purchases
from pipelines.consumers.classifier_metrics import auc, held_by_first
from pipelines.consumers.pulled import Numbers

BUYING, SPEND = "BG/NBD and Gamma-Gamma", "spend in 90 days"
BEST = 0.2  # of the accounts


def labels(acts: Acts, cut: datetime, horizon: timedelta) -> Labels:
    """What each account that acted in the horizon before the cut spends in the one after it; whether that is among the
    best fifth (who spends nothing never is)."""
    users = active_before(acts, cut, horizon)
    spent = acts.following(cut, cut + horizon).groupby("user_id")["spent"].sum()
    amount = spent.reindex(users, fill_value=0.0).to_numpy(np.float64).clip(min=0)
    best = np.quantile(amount, 1 - BEST) if users else 0.0
    return Labels(np.array(users, dtype=object), (amount >= best) & (amount > 0), amount)


def rules(acts: Acts, cut: datetime, horizon: timedelta, users: Users, numbers: Numbers) -> Mapping[str, Floats]:
    """Greatest for those who should spend most. Raises ConsumerError where too few bought to fit how people buy."""
    spend = np.nan_to_num(numbers.column("spend_90d").astype(np.float64))
    return {RFM: rfm(numbers), SPEND: spend, BUYING: expected_spend(acts, cut, horizon, users)}


def expected_spend(acts: Acts, cut: datetime, horizon: timedelta, users: Users) -> Floats:
    """By how often and for how much they bought before the cut: (n,); 0 of whoever never did."""
    bought = Purchases.of(acts.before(cut), cut)
    days = BgNbd.fit(bought).expected(bought, horizon.days)
    spend = pd.Series(days * GammaGamma.fit(bought).expected(bought), index=bought.users)
    return np.asarray(spend.reindex(users, fill_value=0.0), np.float64)


VALUE = Question(
    name="value",
    title="Best spenders of {days} days",
    how="Accounts that acted in the {days} days before a cut; it holds for the fifth that spends most in the {days} "
    "days after it. The model of each cut is fitted on cuts whose labels were all known by then. BG/NBD and "
    "Gamma-Gamma (Fader, Hardie and Lee 2005, 2013) are fitted on all purchases known at the cut and rank by days "
    "with a purchase to be expected times what one is worth. RFM rules rank by the sum of the recency, frequency and "
    "monetary scores of user_value. Share of spend: which part of all that is spent the tenth that is ranked first "
    "spends. Calibration error: mean distance of the model's probability from the share of whom it holds, at each cut "
    "as calibrated on the others. Accounts are resampled with all their cuts.",
    label="among the fifth of accounts that spends most within {days} days after a cut",
    labels=labels,
    rules=rules,
    statistics=(
        Statistics("AUC", auc, False, 0.5),
        Statistics("share of spend in the first tenth", held_by_first, True, 0.1),
    ),
)
