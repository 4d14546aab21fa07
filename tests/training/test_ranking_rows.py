"""Training rows of the ranking service: point-in-time numbers and similarities, the same as the online answer's."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.client import DirectClient
from pipelines.errors import EntityFrameError
from pipelines.tables.features import (
    PRODUCT_ACTIVITY,
    PRODUCT_VECTORS,
    USER_ACTIVITY,
    USER_RECENT_PRODUCTS,
    USER_VISUAL_INTEREST,
)
from pipelines.tables.sources import CONSENTS
from pipelines.training.leakage import check_leakage
from pipelines.training.training_set import TrainingSet, replay, training_set
from tests.online.online_home import ACTIVITY, PICTURES, OnlineHome
from tests.training.test_training_set import DAY, HOUR, ONE_DAY, activity, grant

if TYPE_CHECKING:
    from tests.hand_made_home import Home

COSINE, MEDOID = "similarity__picture_7d_cosine", "similarity__best_medoid_weight"
TASTE = {
    "mean_7d": [0.6, 0.8, 0.0, 0.0],
    "weight_7d": 2.5,
    "medoid_product_ids": ["p1", "p2"],
    "medoid_weights": [0.9, 0.1],
}
LAST = {"last_product_ids": ["p2", "p9", "p1"]}
PICTURED = {"p1": [1.0, 0.0, 0.0, 0.0], "p2": [0.0, 1.0, 0.0, 0.0], "p3": [0.6, 0.8, 0.0, 0.0]}


@pytest.fixture(scope="module")
def shop(standing_home: Home) -> Home:
    """ann's taste is known from DAY on; p1 is pictured otherwise from the second day on."""
    home, times = standing_home, {"event_timestamp": DAY, "created_at": DAY}
    ann = {"user_id": "ann", "purpose": "personalisation"}
    home.write(CONSENTS, grant("ann", granted=True), grant("bob", granted=False))
    home.write(USER_ACTIVITY, activity("ann", DAY, 3), activity("bob", DAY, 5))
    home.write(USER_VISUAL_INTEREST, {**ann, **TASTE, **times}, {**ann, **TASTE, **times, "user_id": "bob"})
    home.write(USER_RECENT_PRODUCTS, {**ann, **LAST, **times})
    later = {"event_timestamp": DAY + ONE_DAY, "created_at": DAY + ONE_DAY}
    pictured = [{"product_id": p, "image_vector": v, **times} for p, v in PICTURED.items()]
    home.write(PRODUCT_VECTORS, *pictured, {"product_id": "p1", "image_vector": PICTURED["p2"], **later})
    home.write(PRODUCT_ACTIVITY, {"product_id": "p1", "price": 9.5, **times})
    return home


@pytest.fixture(scope="module")
def online(shop: Home) -> DirectClient:
    """The same rows in the online store, as they were on the first day."""
    found = OnlineHome(shop.settings)
    found.write("user_consent", "ann", purposes=["personalisation"])
    found.write(ACTIVITY, "ann", DAY, views_7d=3)
    found.write(PICTURES, "ann", DAY, **TASTE)
    found.write("user_recent_products_personalisation", "ann", DAY, **LAST)
    for product, vector in PICTURED.items():
        found.write("product_vectors_tiny_clip_1", product, DAY, image_vector=vector)
    found.write("product_activity", "p1", DAY, price=9.5)
    found.keeper.set_mark("filled")
    return DirectClient(shop.settings)


def pulled(shop: Home, folder: Path, rows: list[tuple[str, str, datetime]]) -> tuple[pa.Table, TrainingSet]:
    entities = folder / "impressions.parquet"
    columns = zip(("user_id", "product_id", "event_timestamp"), zip(*rows, strict=True), strict=True)
    pq.write_table(pa.table({name: [*values] for name, values in columns}), entities)
    made = training_set(shop.store, shop.run(DAY + 9 * ONE_DAY), entities, "ranking", folder / "train.parquet")
    return pq.read_table(made.path), made


def test_each_row_is_as_of_its_moment(shop: Home, online: DirectClient, tmp_path: Path) -> None:
    rows = [
        ("ann", "p1", DAY + HOUR),
        ("bob", "p1", DAY + HOUR),  # does not consent
        ("ann", "p3", DAY + HOUR),
        ("ann", "p1", DAY + ONE_DAY + HOUR),  # another picture by then
        ("ann", "nothing", DAY + HOUR),
        ("ann", "p1", DAY - HOUR),
    ]
    table, made = pulled(shop, tmp_path, rows)
    assert table.column(COSINE).to_pylist() == pytest.approx([0.6, None, 1.0, 0.8, None, None])
    assert table.column(MEDOID).to_pylist() == pytest.approx([0.9, None, 0.1, 0.9, None, None])
    assert table.column("product_activity__price").to_pylist() == [9.5, None, None, 9.5, None, None]
    assert table.column(f"{ACTIVITY}__views_7d").to_pylist() == [3, None, 3, 3, 3, None]
    # p2 and p1 are ann's last products; on the second day they look alike.
    histogram = table.column("similarity__last_products_histogram").to_pylist()
    assert histogram[0] == [0, 0, 0, 0, 0, 1, 0, 0, 0, 1]
    assert histogram[3] == [0, 0, 0, 0, 0, 0, 0, 0, 0, 2]
    assert not [name for name in table.column_names if name.endswith(("mean_7d", "image_vector", "_ids"))]
    assert (made.manifest.similarities, made.manifest.rows_without_consent) == (1, 1)
    assert not check_leakage(shop.store, made).differences
    again = replay(
        shop.store,
        shop.run(DAY + 9 * ONE_DAY),
        tmp_path / "impressions.parquet",
        made.manifest_path,
        tmp_path / "again.parquet",
    )
    assert again.path.read_bytes() == made.path.read_bytes()


def test_online_answers_are_the_training_rows(shop: Home, online: DirectClient, tmp_path: Path) -> None:
    products = ["p3", "p1", "nothing", "p2"]
    table, _ = pulled(shop, tmp_path, [("ann", product, DAY + HOUR) for product in products])
    names, answered = online.rank("ann", products).matrix()
    offline: dict[str, Any] = {name: table.column(name).to_pylist() for name in table.column_names}
    for tier, counts in enumerate(
        zip(*(h or [None] * 10 for h in offline["similarity__last_products_histogram"]), strict=True)
    ):
        offline[f"similarity__last_products_histogram_{tier}"] = counts
    for place, name in enumerate(names):
        expected = [_number(value) for value in offline[name]]
        np.testing.assert_allclose(answered[:, place], expected, atol=1e-6, err_msg=name)
    assert set(offline) - set(names) == {
        "user_id", "product_id", "event_timestamp", "similarity__last_products_histogram",
    }  # fmt: skip


def _number(value: Any) -> float:
    if isinstance(value, datetime):
        return (value - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(microseconds=1)
    return float("nan") if value is None else float(value)


def test_a_row_needs_a_product(shop: Home, online: DirectClient, tmp_path: Path) -> None:
    entities = tmp_path / "labels.parquet"
    pq.write_table(pa.table({"user_id": ["ann"], "event_timestamp": [DAY]}), entities)
    with pytest.raises(EntityFrameError, match="no column 'product_id'"):
        training_set(shop.store, shop.run(DAY), entities, "ranking", tmp_path / "train.parquet")
