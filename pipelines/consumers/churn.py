"""Who will leave: silent for a horizon, of those who acted in the one before."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

import numpy as np

from pipelines.consumers.accounts import RFM, Floats, Labels, Question, Statistics, Users, active_before, rfm
from pipelines.consumers.acts import Acts
from pipelines.consumers.classifier_metrics import auc, lift
from pipelines.consumers.pulled import Numbers

RECENCY = "days since the last act"


def labels(acts: Acts, cut: datetime, horizon: timedelta) -> Labels:
    """Whether each account that acted in the horizon before the cut is silent in the horizon after it."""
    users = active_before(acts, cut, horizon)
    back = set(acts.following(cut, cut + horizon)["user_id"])
    holds = np.array([user not in back for user in users], dtype=bool)
    return Labels(np.array(users, dtype=object), holds, holds.astype(np.float64))


def rules(acts: Acts, cut: datetime, horizon: timedelta, users: Users, numbers: Numbers) -> Mapping[str, Floats]:
    """Greatest for those who should leave first."""
    silent = np.nan_to_num(numbers.column("last_event_at").astype(np.float64), nan=np.inf)
    return {RFM: -rfm(numbers), RECENCY: silent}


CHURN = Question(
    name="churn",
    title="Churn in {days} days",
    how="Accounts that acted in the {days} days before a cut; churned are those of whom no act is seen in the {days} "
    "days after it, on linked devices neither. The model of each cut is fitted on cuts whose labels were all known by "
    "then. RFM rules rank by the sum of the recency, frequency and monetary scores of user_value (none ever counts as "
    "0), ties by days since the last purchase. Lift: how many times more often churned accounts are met in the tenth "
    "that is ranked first. Calibration error: mean distance of the model's probability from the share that churned, "
    "at each cut as calibrated on the others. Accounts are resampled with all their cuts.",
    label="no act within {days} days after a cut, of accounts that acted in as many before",
    labels=labels,
    rules=rules,
    statistics=(Statistics("AUC", auc, False, 0.5), Statistics("lift at 10%", lift, False, 1.0)),
)
