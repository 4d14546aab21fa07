"""A home with releases and a filled online store, made without Spark."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from pipelines.governance.home import open_home
from pipelines.governance.runs import Run
from pipelines.releases.manifest import Release
from pipelines.releases.pin import write_pin
from pipelines.serving.repo import apply, feature_store, packed_store
from pipelines.settings import Settings
from tests.hand_made_home import tiny_release

AT = datetime(2026, 3, 1, 12, 30, 0, 250_000, tzinfo=UTC)
TIMES = ("event_timestamp", "created_at")
ACTIVITY = "user_activity_personalisation"
PICTURES = "user_visual_interest_personalisation_tiny_clip_1"
VECTORS = "product_vectors_tiny_clip_1"


class OnlineHome:
    """Releases are applied; rows are written straight into the online store."""

    def __init__(self, settings: Settings, releases: Sequence[Release] = (), default: str = "r1") -> None:
        self.settings = settings
        open_home(settings, create=True)
        self.release([*releases] or [tiny_release("r1")], default)

    def release(self, releases: list[Release], default: str) -> None:
        """Move the pin and the registry."""
        write_pin(self.settings, releases, default)
        apply(self.settings, Run(self.settings, AT, "x"), releases)
        self.feast = feature_store(self.settings, offline=False)
        self.online = packed_store(self.feast)
        self.keeper = self.online.keeper(self.feast.config)

    def write(self, view_name: str, key: str, at: datetime = AT, **values: Any) -> None:
        """One row; features that are not given are null."""
        self.write_all(view_name, [key], at, **{name: [value] for name, value in values.items()})

    def write_all(self, view_name: str, keys: Sequence[str], at: datetime = AT, **columns: Sequence[Any]) -> None:
        """Rows of many keys, features as columns."""
        view, count = self.feast.get_feature_view(view_name), len(keys)
        given = {view.join_keys[0]: [*keys], **columns, **{time: [at] * count for time in TIMES}}
        empty = {f.name: pa.nulls(count) for f in view.features if f.name not in given}
        self.online.write_arrow(self.feast.config, view, pa.RecordBatch.from_pydict(given | empty), TIMES)

    def furnish(self) -> OnlineHome:
        """ann allows everything, bob nothing, of cyd nothing is stored; all three were active. p1 is a product."""
        self.write("user_consent", "ann", purposes=["marketing", "personalisation"])
        self.write("user_consent", "bob", purposes=[])
        for user, views in (("ann", 3), ("bob", 7), ("cyd", 9), ("device:d1", 2)):
            self.write(ACTIVITY, user, views_7d=views, night_share_30d=0.25, last_event_at=AT)
        self.write(PICTURES, "ann", mean_7d=[0.6, 0.8, 0.0, 0.0], weight_7d=2.5, medoid_product_ids=["p1", "牌"])
        self.write("product_activity", "p1", views_7d=11, price=9.5)
        self.write(VECTORS, "p1", image_vector=[1.0, 0.0, 0.0, 0.0])
        self.keeper.set_mark("filled")
        return self
