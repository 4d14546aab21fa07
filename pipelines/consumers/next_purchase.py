"""Which products will a user buy next? Rankers with and without multimodal features, against three baselines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt

from pipelines.consumers.backtest import Fold, Plan
from pipelines.consumers.baselines import als, item_knn, item_similarity, popularity, with_ties_broken
from pipelines.consumers.catalogue import Catalogue, Versions
from pipelines.consumers.next_purchase_figures import Tried, topics
from pipelines.consumers.occasions import Histories, Occasion
from pipelines.consumers.pulled import Floats32, Pulled, entity_rows
from pipelines.consumers.ranker import Lesson, Ranker, drawn_pairs
from pipelines.consumers.ranking_features import RankingFeatures, UserSide
from pipelines.consumers.tree_table import TreeTable
from pipelines.consumers.workbench import Outcome, Workbench
from pipelines.errors import ConsumerError

PLAN = Plan(horizon_days=14, step_days=7, warm_up_days=10)
WITHOUT, WITH = "ranker without multimodal", "ranker with multimodal"
_AT_ONCE = 128  # users whose features are held at once


@dataclass(frozen=True)
class _Scene:
    """One cut: who bought what, out of which products, after having done what; and what Feast knows of them."""

    occasion: Occasion
    catalogue: Catalogue
    histories: Histories
    similarity: Floats32
    users: UserSide
    relevant: npt.NDArray[np.bool_]

    def features(self) -> Iterator[tuple[slice, Floats32]]:
        """Features of some users at a time."""
        making = RankingFeatures(self.catalogue)
        for start in range(0, len(self.users), _AT_ONCE):
            some = slice(start, start + _AT_ONCE)
            names = self.occasion.users[some]
            behaviour = {
                "item_knn": item_knn(self.histories, self.similarity, names),
                "own_weight": self.histories.of(names, self.histories.weights),
                "own_purchases": self.histories.of(names, self.histories.purchases),
                "own_last_purchase": self.histories.of(names, self.histories.last_purchase),
            }
            yield some, making.of(self.users.rows(some), behaviour)

    def lesson(self, rng: np.random.Generator) -> Lesson:
        """Pairs to learn from, with their features."""
        parts = []
        for some, whole in self.features():
            rows, places = drawn_pairs(self.relevant[some], rng)
            parts.append(Lesson(whole[rows, places], self.relevant[some][rows, places]))
        return Lesson.together(parts)


def next_purchase(bench: Workbench, plan: Plan = PLAN) -> Outcome:
    """Tries rankers on the last cuts of a rolling backtest. Raises ConsumerError where there is too little."""
    backtest = plan.cuts(bench.acts.start, bench.acts.end)
    occasions = {cut: Occasion.at(bench.acts, cut, backtest.horizon, bench.allowed) for cut in backtest.used}
    versions = Versions.of(bench.published)
    occasions = {cut: occasion for cut, occasion in occasions.items() if occasion.users and len(versions.at(cut))}
    folds = [f for f in backtest.folds() if f.test in occasions and any(cut in occasions for cut in f.train)]
    if not folds:
        raise ConsumerError(
            "at no cut that could be tried has anybody who may be personalised bought a product that was known, "
            "before it and after it; bring more purchases in"
        )
    users, products = _pull(bench, list(occasions.values()), versions)
    scenes = {cut: _scene(bench, occasion, versions, users, products) for cut, occasion in occasions.items()}
    rng = np.random.default_rng(1)
    lessons = {cut: scenes[cut].lesson(rng) for cut in sorted({cut for f in folds for cut in f.train}) if cut in scenes}
    tried = [_try(bench, [lessons[cut] for cut in f.train if cut in lessons], scenes[f.test]) for f in folds]
    facts = _facts(bench, plan, folds, [every for every, _, _ in tried], scenes)
    every, unknown = (Tried.together(parts) for parts in zip(*(found for *found, _ in tried), strict=True))
    return Outcome(facts, topics(every, unknown), (users, products), tried[-1][2])


def _pull(bench: Workbench, occasions: Sequence[Occasion], versions: Versions) -> tuple[Pulled, Pulled]:
    users = [(user, occasion.cut) for occasion in occasions for user in occasion.users]
    offered = [(product, o.cut) for o in occasions for product in versions.at(o.cut)["product_id"]]
    return (
        bench.puller.pull("next_purchase_users", entity_rows("user_id", *_columns(users)), "recommendation"),
        bench.puller.pull("next_purchase_products", entity_rows("product_id", *_columns(offered)), "product_ranking"),
    )


def _columns(rows: Sequence[tuple[str, datetime]]) -> tuple[list[str], list[datetime]]:
    return [key for key, _ in rows], [at for _, at in rows]


def _scene(bench: Workbench, occasion: Occasion, versions: Versions, users: Pulled, products: Pulled) -> _Scene:
    catalogue = Catalogue.of(versions.at(occasion.cut), products, occasion.cut)
    histories = Histories.at(bench.acts, occasion.cut, catalogue, bench.allowed)
    return _Scene(
        occasion,
        catalogue,
        histories,
        item_similarity(histories),
        UserSide.of(users, occasion.cut, catalogue),
        occasion.relevant(catalogue),
    )


def _try(bench: Workbench, lessons: Sequence[Lesson], test: _Scene) -> tuple[Tried, Tried, TreeTable]:
    """Of all products, and of those on which their user had not acted; and the ranker with everything."""
    making = RankingFeatures(test.catalogue)
    lesson = Lesson.together(lessons)
    with_all, plain = Ranker(len(making.names)).fit(lesson), Ranker(making.plain).fit(lesson)
    names, catalogue = test.occasion.users, test.catalogue
    popular = popularity(catalogue)
    scores = {
        "popularity": np.broadcast_to(popular, (len(names), len(popular))),
        "item-kNN": with_ties_broken(item_knn(test.histories, test.similarity, names), popular),
        "ALS": with_ties_broken(als(bench.store.spark, test.histories, names, len(catalogue)), popular),
    }
    parts = [(plain.scores(features), with_all.scores(features)) for _, features in test.features()]
    scores[WITHOUT], scores[WITH] = (np.concatenate(part) for part in zip(*parts, strict=True))
    known = test.histories.of(names, test.histories.weights) > 0
    others = {way: np.where(known, -np.inf, of_all) for way, of_all in scores.items()}
    every, unknown = (test.relevant, scores), (test.relevant & ~known, others)
    return Tried.of(test.occasion, *every), Tried.of(test.occasion, *unknown), with_all.table(making.names)


def _facts(
    bench: Workbench, plan: Plan, folds: Sequence[Fold], tried: Sequence[Tried], scenes: Mapping[datetime, _Scene]
) -> dict[str, str]:
    return {
        "consumer": "next purchase",
        "label": f"products bought within {plan.horizon_days} days after a cut",
        "cuts": f"{len(scenes)}, {min(scenes):%Y-%m-%d} to {max(scenes):%Y-%m-%d}",
        "cuts tried": ", ".join(f"{fold.test:%Y-%m-%d}" for fold in folds),
        "rows": f"{sum(len(scene.occasion.users) for scene in scenes.values()):,} of users at cuts, "
        f"{sum(len(part.users) for part in tried):,} of them tried",
        "products": f"{max(len(scene.catalogue) for scene in scenes.values()):,}",
        "accounts that may be personalised": f"{len(bench.allowed):,} of {len(bench.acts.accounts):,}",
    }
