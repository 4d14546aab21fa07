"""One user × many candidate products: numbers of both, and how the products resemble the user's taste."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from pipelines.identity.subject_keys import USER
from pipelines.online.blocks import IS_PRESENT, Block
from pipelines.online.kept_vectors import KeptVectors
from pipelines.online.plans import RankingPlan
from pipelines.online.reader import Answer, OnlineReader
from pipelines.ranking.similarities import (
    INTERESTS,
    LAST_IDS,
    MEDOID_IDS,
    MEDOID_WEIGHTS,
    PICTURE,
    Similarities,
    Taste,
    Vectors,
    similarities,
)

SERVICE = "ranking"
# Views whose vectors are kept: those of the live releases, and of one that just left.
_MOST_VIEWS = 4


@dataclass(frozen=True)
class RankingAnswer:
    """What was read at `asked_at`, wholly of one release.

    `user` is of one id and holds vectors as well, `products` are the candidates' numbers in the order asked.
    """

    asked_at: datetime
    user: Answer
    products: Answer
    similarities: Similarities


class Ranker:
    """Keeps products' vectors between questions; safe in threads."""

    def __init__(self, reader: OnlineReader) -> None:
        self._reader = reader
        self._lock = threading.Lock()
        self._kept: dict[str, KeptVectors] = {}

    def rank(
        self,
        user: str,
        products: Sequence[str],
        service: str = SERVICE,
        *,
        release: str | None = None,
        kind: str = USER,
    ) -> RankingAnswer:
        """Features of a user, or another subject (`kind` "device"), with the candidate products, in their order.

        A user who does not allow the service's purpose has no similarities; a product that is not known has no numbers.
        Raises UnknownServiceError, UnknownReleaseError, OnlineStoreError.
        """

        def fetch(plan: RankingPlan) -> tuple[int, Callable[[], RankingAnswer]]:
            asked_at = datetime.now(UTC)
            first, told = self._reader.fetched([user], plan.user, kind)
            generation, numbers = self._reader.fetched(products, plan.products)

            def finish() -> RankingAnswer:
                of_user = told()
                found = self._compared(of_user.blocks, products, plan)
                return RankingAnswer(asked_at, of_user, numbers(), found)

            # Two generations: whichever is not that of the definitions tells that they changed in between.
            return (generation if generation != self._reader.definitions.generation else first), finish

        return self._reader.settled(lambda definitions: definitions.ranking(service, release), fetch)

    def _compared(self, blocks: Sequence[Block], products: Sequence[str], plan: RankingPlan) -> Similarities:
        values = {(block.plan.table or "", name): (block, name) for block in blocks for name in block.plan.features}
        interests = {
            key: vector
            for key in dict.fromkeys((i.table, i.column) for i in INTERESTS)
            if (vector := _value(values, key)) is not None
        }
        medoids = _listed(_value(values, MEDOID_IDS))
        last = _listed(_value(values, LAST_IDS))
        if not interests and not last and not medoids:
            return Similarities.unknown(len(products))
        vectors = self._vectors([*products, *medoids, *last], plan)
        count = len(products)
        own = {name: column[:count] for name, column in vectors.items()}
        pictures = vectors[PICTURE][count:]
        weights = _value(values, MEDOID_WEIGHTS)
        taste = Taste(
            interests,
            medoids=pictures[: len(medoids)],
            weights=np.zeros(len(medoids), np.float32) if weights is None else weights,
            last=pictures[len(medoids) :],
        )
        return similarities(taste, own, count)

    def _vectors(self, ids: Sequence[str], plan: RankingPlan) -> Mapping[str, Vectors]:
        [view] = plan.vectors.views

        def fetch(missing: Sequence[str]) -> Block:
            _, told = self._reader.fetched(missing, plan.vectors)
            return told().blocks[0]

        with self._lock:
            kept = self._kept.get(view.name)
            if kept is None:
                while len(self._kept) >= _MOST_VIEWS:
                    del self._kept[next(iter(self._kept))]
                limits = self._reader.settings.serve
                kept = self._kept[view.name] = KeptVectors(limits.kept_products, limits.kept_seconds)
        return kept.vectors(ids, fetch)


def _value(values: Mapping[tuple[str, str], tuple[Block, str]], key: tuple[str, str]) -> Any:
    """The one id's value, None where there is none."""
    if key not in values:
        return None
    block, name = values[key]
    if block.statuses[0, block.plan.places[name]] != IS_PRESENT:
        return None
    return block.column(name)[0]


def _listed(ids: Sequence[str] | None) -> list[str]:
    return [*ids] if ids else []
