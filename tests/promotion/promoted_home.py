"""A home of a small random shop with release r1 in force, and encoders that might take its place.

The candidates' vectors are in the home already, so nothing is encoded; all else is real.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from encoders.spec import EncoderSpec
from pipelines.delta import TableStore
from pipelines.features.build import build_vector_histories
from pipelines.features.changes import dirty_subject_days, dirty_users
from pipelines.governance.home import open_home
from pipelines.governance.progress import Batch, finish, start
from pipelines.governance.runs import Run
from pipelines.online.reader import OnlineReader
from pipelines.releases.gate import Announce, Judgement
from pipelines.releases.manifest import Release
from pipelines.releases.pin import write_pin
from pipelines.serving.materialise import materialise
from pipelines.serving.online import user_features
from pipelines.serving.repo import apply
from pipelines.settings import ConsentDefaults, Settings
from pipelines.tables.aggregates import EMBEDDINGS
from pipelines.tables.schema import Table
from pipelines.tables.sources import CONSENTS, EVENTS, IDENTITIES, PRODUCT_CONTENTS, REVIEWS
from tests.features.interest_shop import DIMENSIONS, RELEASE, Row, Shop, at, contents_of, random_shop, vector_of
from tests.table_frame import table_frame

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SILVER = {"events": EVENTS, "reviews": REVIEWS, "contents": PRODUCT_CONTENTS, "links": IDENTITIES, "consents": CONSENTS}
WIDTH = 6
LOADED = at(17)
SILVER_DROPS = ("first", "second", "late")


class Killed(BaseException):
    """Stands for the end of the process."""


def killed_at(step: str) -> Announce:
    """Ends the promotion where it announces a step that begins so."""

    def announce(said: str) -> None:
        if said.startswith(step):
            raise Killed(said)

    return announce


def passing(
    settings: Settings, before: EncoderSpec, after: EncoderSpec, margin: float, announce: Announce
) -> Judgement:
    return Judgement(True, "as good")


def refusing(
    settings: Settings, before: EncoderSpec, after: EncoderSpec, margin: float, announce: Announce
) -> Judgement:
    return Judgement(False, f"{after.key} is worse.")


@dataclass
class PromotedHome:
    """See the module. One of the `users` is unknown."""

    store: TableStore
    folder: Path
    shop: Shop = field(default_factory=random_shop)

    @property
    def settings(self) -> Settings:
        return self.store.settings

    @property
    def users(self) -> list[str]:
        return [f"u{i}" for i in range(5)] + ["nobody"]

    def furnish(self) -> PromotedHome:
        open_home(self.settings, create=True)
        write_pin(self.settings, [RELEASE], "r1")
        history = SILVER_DROPS[:2]
        for drop in history:
            self._write_silver(drop)
        self._build(Batch("features", history, LOADED, None, True, "load"), [RELEASE])
        run = Run(self.settings, LOADED, "first")
        apply(self.settings, run)
        materialise(self.store, run)
        return self

    def take_in_late(self, releases: Sequence[Release]) -> datetime:
        """A regular run on the late drop, for several releases; its time. Late contents are reviews alone."""
        self._write_silver("late")
        batch = Batch("features", ("late",), at(18), LOADED, False, "late")
        self._build(batch, releases)
        return batch.as_of

    def contents(self, drop: str) -> list[tuple[str, str, str]]:
        """Those that a drop brings for the first time."""
        drops = [*SILVER_DROPS[: SILVER_DROPS.index(drop)]]
        known = contents_of(self.shop, {*drops}) if drops else []
        return [c for c in contents_of(self.shop, {*drops, drop}) if c not in known]

    def encoder(self, name: str, noise: int) -> str:
        """URI of an encoder that is only described; its vectors are written to the home."""
        folder = self.folder / name
        folder.mkdir()
        (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": {"embed_dim": WIDTH}}))
        (folder / "open_clip_model.safetensors").write_bytes(name.encode())
        pictures = [c for drop in SILVER_DROPS for c in self.contents(drop) if c[2] == "clip"]
        rows = [_embedding(c[0], c[1], name, _turned(c[0], noise)) for c in pictures]
        self._append(EMBEDDINGS, rows, name)
        return f"open-clip:{folder}"

    def embed_later(self, name: str) -> None:
        """A vector of a content that no tile names."""
        self._append(EMBEDDINGS, [_embedding("f" * 64, "product_image", name, _turned("f" * 64, 0))], f"{name}/later")

    def answers(self, release: str | None = None) -> dict[str, str]:
        """Everything that a recommender gets of each user, as text; the release is part of it."""
        reader = OnlineReader(self.settings)
        answer = reader.read(self.users, "recommendation", release=release)
        told = [user_features(answer, place, reader.default) for place in range(len(self.users))]
        return {features.user_id: features.model_dump_json() for features in told}

    def _build(self, batch: Batch, releases: Sequence[Release]) -> None:
        start(self.store, batch)
        days = dirty_subject_days(self.store, batch)
        users = dirty_users(self.store, batch, days)
        build_vector_histories(self.store, batch, releases, days, users, _untimed)
        finish(self.store, batch)

    def _write_silver(self, drop: str) -> None:
        for name, table in SILVER.items():
            self._append(table, [r for r in self.shop.rows[name] if r["drop_id"] == drop], drop)
        self._embed(self.contents(drop), drop)

    def _embed(self, contents: Sequence[tuple[str, str, str]], transaction: str) -> None:
        self._append(EMBEDDINGS, [_embedding(c, m, part, vector_of(c, part)) for c, m, part in contents], transaction)

    def _append(self, table: Table, rows: Sequence[Row], transaction: str) -> None:
        if "event_date" in table.column_names:
            rows = [{**r, "event_date": r["event_timestamp"].date()} for r in rows]
        if rows:
            frame = table_frame(self.store.spark, table, list(rows)).coalesce(1)
            self.store.append_once(frame, table, transaction)


def new_home(spark: SparkSession, folder: Path) -> PromotedHome:
    settings = Settings(
        home=str(folder / "home"), consent_default=ConsentDefaults(personalisation="allow"), retired_release_days=0
    )
    return PromotedHome(TableStore(spark, settings), folder).furnish()


def _turned(content: str, noise: int) -> np.ndarray:
    random = np.random.default_rng([int(content[:12], 16), noise])
    vector = random.normal(size=WIDTH).astype(np.float32)
    return np.asarray(vector / np.linalg.norm(vector), np.float32)


def _embedding(content: str, modality: str, encoder: str, vector: np.ndarray) -> Row:
    return {"content_hash": content, "modality": modality, "encoder": encoder, "encoder_version": "1", "status": "ok",
            "vector": vector.astype("<f4").tobytes(), "dimensions": len(vector),
            "created_at": datetime(2026, 4, 1, tzinfo=UTC)}  # fmt: skip


assert DIMENSIONS["clip"] != WIDTH


def _untimed(part: str, work: Callable[[], int | dict[str, int]]) -> None:
    work()
