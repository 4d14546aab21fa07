"""A hundred thousand logged answers, given while histories grow and are materialised: nothing is unexplained."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from pipelines.answers.files import AnswerFiles
from pipelines.answers.rows import Answered, rows_of
from pipelines.answers.skew import check_skew
from pipelines.identity.subject_keys import USER
from pipelines.online.ranking import Ranker
from pipelines.online.reader import OnlineReader
from pipelines.serving.materialise import materialise
from pipelines.serving.repo import apply
from pipelines.tables.features import (
    PRODUCT_ACTIVITY,
    PRODUCT_VECTORS,
    USER_ACTIVITY,
    USER_RECENT_PRODUCTS,
    USER_VISUAL_INTEREST,
)
from pipelines.tables.sources import CONSENTS
from tests.hand_made_home import Home
from tests.training.test_training_set import DAY, activity, grant

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_ANSWERS = 100_000
_USERS = [f"u{i}" for i in range(1000)]
_PRODUCTS = [f"p{i}" for i in range(1000)]
_BATCH = 200
_CHANGES = 3


class GrowingShop:
    """Every change gives a part of the users and products new rows, drawn with its number as seed."""

    def __init__(self, home: Home) -> None:
        self.home = home
        home.write(CONSENTS, *(grant(user, granted=True) for user in _USERS))

    def change(self, number: int, share: float) -> None:
        """Write new rows, and bring the online store up to them."""
        drawn = np.random.default_rng(number)
        at = DAY + timedelta(days=number)
        users = [user for user in _USERS if drawn.random() < share]
        products = [product for product in _PRODUCTS if drawn.random() < share]
        times = {"event_timestamp": at, "created_at": at}
        person = {"purpose": "personalisation", **times}
        self.home.write(USER_ACTIVITY, *(activity(user, at, int(drawn.integers(1000))) for user in users))
        self.home.write(USER_VISUAL_INTEREST, *({"user_id": u, **person, **_taste(drawn)} for u in users))
        last = [[f"p{i}" for i in drawn.integers(1200, size=20)] for _ in users]
        self.home.write(
            USER_RECENT_PRODUCTS,
            *({"user_id": u, **person, "last_product_ids": ids} for u, ids in zip(users, last, strict=True)),
        )
        vectors = drawn.normal(size=(len(products), 4)).tolist()
        self.home.write(
            PRODUCT_VECTORS,
            *({"product_id": p, "image_vector": v, **times} for p, v in zip(products, vectors, strict=True)),
        )
        self.home.write(
            PRODUCT_ACTIVITY, *({"product_id": p, "price": float(drawn.random()), **times} for p in products)
        )
        materialise(self.home.store, self.home.run(at + timedelta(hours=1)))


def _taste(drawn: np.random.Generator) -> dict[str, Any]:
    medoids = {"medoid_product_ids": [f"p{i}" for i in drawn.integers(1200, size=3)], "medoid_weights": [0.5, 0.3, 0.2]}
    return {"mean_7d": drawn.normal(size=4).tolist(), "weight_7d": float(drawn.random()), **medoids}


def _answers(reader: OnlineReader) -> Iterator[Answered]:
    """Features of many users, and one user with many products, in turns."""
    ranker, drawn = Ranker(reader), np.random.default_rng(8)
    while True:
        users = drawn.choice(_USERS, _BATCH).tolist()
        yield Answered(datetime.now(UTC), USER, reader.read(users, "recommendation"))
        products = drawn.choice(_PRODUCTS, _BATCH).tolist()
        yield Answered(datetime.now(UTC), USER, ranker.rank(users[0], products))


@pytest.mark.soak
def test_nothing_is_unexplained(tmp_path: Path, spark: SparkSession) -> None:
    home = Home(tmp_path / "home", spark)
    apply(home.settings, home.run(DAY))
    shop = GrowingShop(home)
    shop.change(0, 0.9)

    def grow() -> None:
        for number in range(1, _CHANGES + 1):
            shop.change(number, 0.1)

    reader, files, logged = OnlineReader(home.settings), AnswerFiles(home.settings), 0
    growing = threading.Thread(target=grow)
    growing.start()
    for answered in _answers(reader):
        rows = rows_of(answered, home.settings, reader.default)
        files.write(rows)
        logged += len(rows)
        # Slowly enough that there are answers of every state.
        growing.join(0.1 if logged < _ANSWERS else 2.0)
        if logged >= _ANSWERS and not growing.is_alive():
            break
    report = check_skew(home.store, home.run(datetime.now(UTC)), logged)
    print(report.to_json())
    assert report.rows == logged
    assert report.unexplained == 0, [skew for skew in report.features.values() if skew.unexplained][:3]
    assert report.explained > 0
