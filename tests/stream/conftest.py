"""A home in which the day before was worked through, once; each test has a copy of its own."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pipelines.delta import TableStore
from pipelines.features.build import build_features
from pipelines.governance.home import open_home
from pipelines.governance.runs import Run
from pipelines.releases.pin import write_pin
from pipelines.serving.consent_view import update_user_consent
from pipelines.serving.repo import apply, feature_store, packed_store
from pipelines.settings import ConsentDefaults, Settings, load_settings
from pipelines.sources.ingest import ingest
from pipelines.stream.job import EventStream, StreamOptions
from pipelines.stream.sources import FolderSource
from pipelines.tables.aggregates import USER_DAILY
from pipelines.tables.features import USER_CONSENT
from tests.stream.drawn_shop import DAY, RELEASE, DrawnShop, Row, write_lines

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SHOP = DrawnShop(seed=3)
NewHome = Callable[..., "StreamedHome"]


@dataclass
class StreamedHome:
    """A home, a folder that its stream reads, and the figures that the stream announced."""

    store: TableStore
    incoming: Path
    said: list[dict[str, Any]] = field(default_factory=list)

    def run(self, at: datetime) -> Run:
        return Run(self.store.settings, at, "test")

    def served(self, consents_at: datetime | None) -> StreamedHome:
        """Apply the definitions; with a time, also write what users allow then, as materialisation does first."""
        run = self.run(consents_at or DAY)
        apply(self.store.settings, run)
        if consents_at is not None:
            feast = feature_store(self.store.settings, offline=False)
            update_user_consent(self.store, run, self.store.read(USER_DAILY).selectExpr("subject_id AS user_id"))
            rows = self.store.read(USER_CONSENT).toArrow().combine_chunks().to_batches()
            online, view = packed_store(feast), feast.get_feature_view(USER_CONSENT.name)
            for batch in rows:
                online.write_arrow(feast.config, view, batch, ("event_timestamp", "created_at"))
            online.keeper(feast.config).set_mark("filled")
        return self

    def put(self, name: str, rows: list[Row]) -> None:
        write_lines(self.incoming / f"{name}.jsonl", rows)

    def stream(self, files_per_batch: int = 1, **options: Any) -> list[dict[str, Any]]:
        """Take in what is there; the figures of the micro-batches."""
        self.incoming.mkdir(exist_ok=True)
        source = FolderSource(str(self.incoming), files_per_batch)
        before = len(self.said)
        options = {"trigger_seconds": None} | options
        EventStream(self.store, source, StreamOptions(**options), self.said.append).run()
        return self.said[before:]


@pytest.fixture(scope="session")
def day_before(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Callable[[DrawnShop], Path]:
    """The folder of a shop's home in which everything before the day was worked through."""
    made: dict[int, Path] = {}

    def folder_of(shop: DrawnShop) -> Path:
        if shop.seed not in made:
            made[shop.seed] = tmp_path_factory.mktemp("streamed")
            _work_through(TableStore(spark, settings_of(made[shop.seed])), shop, made[shop.seed] / "history")
        return made[shop.seed]

    return folder_of


def _work_through(store: TableStore, shop: DrawnShop, drop: Path) -> None:
    open_home(store.settings, create=True)
    write_pin(store.settings, [RELEASE], "r1")
    shop.write_history(drop)
    run = Run(store.settings, DAY, "first")
    ingest(store, run, str(drop))
    shop.write_contents(store)
    build_features(store, run, RELEASE)


@pytest.fixture(scope="module")
def new_home(
    day_before: Callable[[DrawnShop], Path], spark: SparkSession, tmp_path_factory: pytest.TempPathFactory
) -> NewHome:
    """A copy of a shop's home, with settings of its own."""

    def copied(shop: DrawnShop, **settings: str) -> StreamedHome:
        folder = tmp_path_factory.mktemp("copy") / "shop"
        shutil.copytree(day_before(shop), folder)
        return StreamedHome(TableStore(spark, settings_of(folder, **settings)), folder / "incoming")

    return copied


@pytest.fixture
def streamed_home(new_home: NewHome) -> StreamedHome:
    """A copy whose features can be read online."""
    return new_home(SHOP).served(DAY)


def settings_of(folder: Path, **more: str) -> Settings:
    return load_settings(home=str(folder / "home"), consent_default=ConsentDefaults(personalisation="allow"), **more)
