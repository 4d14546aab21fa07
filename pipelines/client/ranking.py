"""The answer to a ranking question as a program uses it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pipelines.online.blocks import Block
from pipelines.online.ranking import RankingAnswer
from pipelines.ranking.similarities import HISTOGRAM, NAMES, TIERS

PREFIX = "similarity"


@dataclass(frozen=True)
class Numbers:
    """Numbers of a view for n ids: `values` float64 (n, features), NaN unless the status is PRESENT.

    `statuses` uint8 (n, features), numbered as STATUS_NAMES; `event_timestamps` int64 (n,), microseconds, 0 for none.
    """

    view: str
    features: Sequence[str]
    values: npt.NDArray[np.float64]
    statuses: npt.NDArray[np.uint8]
    event_timestamps: npt.NDArray[np.int64]

    @classmethod
    def of_block(cls, block: Block) -> Numbers:
        places = [block.plan.places[name] for name in block.plan.numbers]
        statuses = block.statuses[:, places]
        return cls(block.plan.label, block.plan.numbers, block.numbers(), statuses, block.times)

    @classmethod
    def of_document(cls, view: Mapping[str, Any]) -> Numbers:
        arrays = (unpacked(view[name]) for name in ("values", "statuses", "event_timestamps"))
        return cls(view["view"], view["features"], *arrays)


@dataclass(frozen=True)
class Ranking:
    """One user and n candidate products, in the order asked, wholly of one release.

    `similarities` float64 (n, similarity_names) and `histogram` float32 (n, tiers) are NaN where not known; what they
    mean is said in `pipelines/ranking/similarities.py`.
    """

    release: str | None
    service: str | None
    product_ids: Sequence[str]
    user: Sequence[Numbers]
    products: Sequence[Numbers]
    similarity_names: Sequence[str]
    similarities: npt.NDArray[np.float64]
    histogram: npt.NDArray[np.float32]

    @classmethod
    def of_answer(cls, answer: RankingAnswer) -> Ranking:
        found, plan = answer.similarities, answer.user.plan
        user = [Numbers.of_block(block) for block in answer.user.blocks if block.plan.numbers]
        products = [Numbers.of_block(block) for block in answer.products.blocks]
        return cls(
            plan.release, plan.service, answer.products.ids, user, products, NAMES, found.values, found.histogram
        )

    @classmethod
    def of_document(cls, document: Mapping[str, Any]) -> Ranking:
        """Of an answer's MessagePack form (`ranking_renders.py` of the server)."""
        found = document["similarities"]
        return cls(
            document["release"],
            document["service"],
            document["product_ids"],
            [Numbers.of_document(view) for view in document["user"]],
            [Numbers.of_document(view) for view in document["products"]],
            found["names"],
            unpacked(found["values"]),
            unpacked(found[HISTOGRAM]),
        )

    def matrix(self) -> tuple[list[str], npt.NDArray[np.float64]]:
        """Names and values of everything, float64 (n, names): named as the columns of a training set of the service.

        The user's numbers are the same in each row; the histogram is `similarity__last_products_histogram_0` and on.
        """
        count = len(self.product_ids)
        views = [*self.user, *self.products]
        names = [f"{view.view}__{name}" for view in views for name in view.features]
        names += [f"{PREFIX}__{name}" for name in self.similarity_names]
        names += [f"{PREFIX}__{HISTOGRAM}_{tier}" for tier in range(TIERS)]
        columns = [np.broadcast_to(view.values, (count, len(view.features))) for view in views]
        return names, np.concatenate([*columns, self.similarities, self.histogram], axis=1)


def unpacked(packed: Mapping[str, Any]) -> npt.NDArray[Any]:
    """An array of its type, shape and bytes."""
    return np.frombuffer(packed["data"], packed["dtype"]).reshape(packed["shape"])
