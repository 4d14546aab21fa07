"""Will a user click an ad? A model on what Feast knew of user and product at the ad's moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow.compute as pc

from pipelines.consumers.acts import Acts
from pipelines.consumers.classifier_metrics import auc, difference, estimate
from pipelines.consumers.likeness import PAIRS, centred, mean_of
from pipelines.consumers.pulled import Floats32, Pulled, entity_rows
from pipelines.consumers.trees import Growth, Trees
from pipelines.consumers.workbench import Outcome, Workbench
from pipelines.errors import ConsumerError
from pipelines.evaluation.measure import Measured, Topic, figures
from pipelines.evaluation.plots import bars
from pipelines.tables.features import PRODUCT_ACTIVITY, PRODUCT_VECTORS, USER_ACTIVITY
from pipelines.tables.sources import EVENTS

CLICK_WITHIN = timedelta(days=1)
TRIED_SHARE = 0.3  # of the ads, the newest
POPULARITY, RATE, WITHOUT, WITH = "product's views", "user's clicks per ad", "without multimodal", "with multimodal"
_USUAL_RATE = 0.3  # clicks per ad of somebody of whom nothing is known
_GROWTH = Growth(trees=120, learning_rate=0.04, leaves=6, smallest_leaf=40)
_HOW = (
    "Ads seen by accounts, features as known at each ad's moment; clicked are those that the same account clicks "
    "within a day. The newest three tenths are tried, the model is fitted on ads whose day was over before the first "
    "of them. Position bias: {position} An AUC here says how well clicks on ads that were shown are told apart, not "
    "what would be clicked among ads that were not. Accounts are resampled with all their ads."
)
_NO_POSITION = (
    "the drop says no place of an ad on its page, so its part in the clicks can neither be told nor taken off."
)
_POSITION = (
    "ads have a place on their page; it is left out of the model, and clicks are told apart with its part in them."
)


@dataclass(frozen=True)
class Ads:
    """Ads that accounts saw, in order of time: user_id, product_id, at, clicked, and how many each had seen before."""

    rows: pd.DataFrame

    @classmethod
    def of(cls, acts: Acts, allowed: frozenset[str]) -> Ads:
        """Those with a product, shown to allowed accounts, whose time to be clicked is over."""
        events = acts.events[acts.events["product_id"].notna() & acts.events["subject_id"].isin(allowed)]
        events = events.rename(columns={"subject_id": "user_id"}).sort_values("at", kind="stable")
        shown = events[(events["event_type"] == "ad_impression") & (events["at"] < acts.end - CLICK_WITHIN)]
        clicks = events.loc[events["event_type"] == "ad_click", ["user_id", "product_id", "at"]]
        clicks = clicks.assign(clicked_at=clicks["at"])
        met = pd.merge_asof(
            shown, clicks, on="at", by=["user_id", "product_id"], direction="forward", tolerance=CLICK_WITHIN
        )
        rows = met[["user_id", "product_id", "at"]].assign(clicked=met["clicked_at"].notna())
        return cls(rows.assign(seen_before=rows.groupby("user_id").cumcount()))


def ad_click(bench: Workbench) -> Outcome:
    """Raises ConsumerError where there are too few ads to learn from."""
    ads = Ads.of(bench.acts, bench.allowed).rows
    first = int(len(ads) * (1 - TRIED_SHARE))
    if not first or not 0 < ads["clicked"].iloc[:first].mean() < 1 or ads["clicked"].iloc[first:].nunique() < 2:
        raise ConsumerError(f"{len(ads)} ads were seen by accounts that may be personalised; too few to learn from")
    moments = [at.to_pydatetime() for at in ads["at"]]
    users = bench.puller.pull("ad_users", entity_rows("user_id", list(ads["user_id"]), moments), "recommendation")
    products = bench.puller.pull(
        "ad_products", entity_rows("product_id", list(ads["product_id"]), moments), "product_ranking"
    )
    activity, does = users.numbers((USER_ACTIVITY,)), products.numbers((PRODUCT_ACTIVITY,))
    plain, likeness = np.concatenate([activity.values, does.values], axis=1), _likenesses(users, products)
    learned = (ads["at"] + CLICK_WITHIN <= ads["at"].iloc[first]).to_numpy()
    tried = np.arange(len(ads)) >= first
    clicked = ads["clicked"].to_numpy()
    whole = np.concatenate([plain, likeness], axis=1)
    rate = (np.nan_to_num(activity.column("ad_clicks_90d")) + _USUAL_RATE) / (ads["seen_before"].to_numpy() + 1)
    with_all = Trees(_GROWTH).fit(whole[learned], clicked[learned])
    scores = {
        POPULARITY: np.nan_to_num(does.column("views_30d"))[tried],
        RATE: rate[tried],
        WITHOUT: Trees(_GROWTH).fit(plain[learned], clicked[learned]).scores(plain[tried]),
        WITH: with_all.scores(whole[tried]),
    }
    topic = Topic("ad_click", "Ad click", _HOW.format(position=_POSITION if _placed(bench) else _NO_POSITION))
    measured = _measured(clicked[tried], scores, ads["user_id"].to_numpy()[tried])
    names = [f"user {n}" for n in activity.names] + [f"product {n}" for n in does.names] + [p.name for p in PAIRS]
    return Outcome(_facts(ads, learned, tried), [(topic, measured)], (users, products), with_all.table(names))


def _likenesses(users: Pulled, products: Pulled) -> Floats32:
    """Cosine of each user's vectors with the ad's product's, by `PAIRS`; NaN where either has none."""
    of_products = {name: products.vectors(PRODUCT_VECTORS, name) for name in {p.product for p in PAIRS}}
    columns = []
    for pair in PAIRS:
        of_users, vectors = users.vectors(pair.table, pair.feature), of_products[pair.product]
        centre = of_products[pair.centre]
        if of_users is None or vectors is None or centre is None:
            columns.append(np.full(users.manifest.rows, np.nan, dtype=np.float32))
            continue
        mine, theirs = centred(of_users, mean_of(centre)), centred(vectors, mean_of(vectors))
        columns.append((mine * theirs).sum(axis=1))
    return np.stack(columns, axis=1)


def _measured(
    clicked: npt.NDArray[np.bool_], scores: Mapping[str, npt.NDArray], users: npt.NDArray[np.object_]
) -> Measured:
    levels = figures(*((way, "AUC", estimate(auc, clicked, values, users), 0.5) for way, values in scores.items()))
    gains = figures(
        *(
            (f"{WITH} over {way}", "AUC, difference", difference(auc, clicked, scores[WITH], values, users))
            for way, values in scores.items()
            if way != WITH
        )
    )
    return Measured((*levels, *gains), bars(levels))


def _placed(bench: Workbench) -> bool:
    """Whether the drop says where on a page an ad stood."""
    rows = bench.published.rows(EVENTS, ("event_type", "attributes"))
    ads = rows.filter(pc.equal(rows["event_type"], "ad_impression"))["attributes"].to_pylist()
    return any(name == "position" for attributes in ads for name, _ in attributes or ())


def _facts(ads: pd.DataFrame, learned: npt.NDArray[np.bool_], tried: npt.NDArray[np.bool_]) -> dict[str, str]:
    return {
        "consumer": "ad click",
        "label": "an ad is clicked within a day",
        "rows": f"{len(ads):,} ads, {ads['clicked'].mean():.1%} clicked; {learned.sum():,} to learn from, "
        f"{tried.sum():,} tried, from {ads['at'].iloc[int(np.argmax(tried))]:%Y-%m-%d}",
    }
