"""All that a fine-tuning reads of a home, split by time: what is learned from, what ends it, what judges it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from pipelines.delta import TableStore
from pipelines.errors import TooLittleToLearnError
from pipelines.finetuning.catalogue import Offer, offers, picture_sets
from pipelines.finetuning.pairs import allowed_acts, searched, together
from pipelines.governance.runs import Run
from pipelines.point_in_time.published import Published
from pipelines.releases.compare.interests import PURPOSE, WINDOW, Behaviour
from pipelines.sources.media_places import media_places
from pipelines.tables.aggregates import USER_TILES
from pipelines.tables.sources import CONSENTS, EVENTS, IDENTITIES, MEDIA, PRODUCT_CONTENTS, PRODUCTS, TOMBSTONES
from pipelines.training.withheld import withheld

READ = (EVENTS, PRODUCTS, PRODUCT_CONTENTS, MEDIA, USER_TILES, CONSENTS, IDENTITIES, TOMBSTONES)


@dataclass(frozen=True)
class Windows:
    """Midnights, UTC: what happened before `learn` is learned from; purchases in [learn, test) end the training, those
    from `test` on, for as long, judge it."""

    learn: datetime
    test: datetime

    @classmethod
    def of(cls, behaviour: Behaviour) -> Windows:
        """Raises TooLittleToLearnError where the behaviour is too short."""
        if len(behaviour.cuts) < 2:
            raise TooLittleToLearnError(
                f"the home's behaviour is shorter than two windows of {WINDOW.days} days, which a fine-tuning is ended "
                "and judged by; bring more history in"
            )
        test, learn = behaviour.cuts
        return cls(learn, test)


@dataclass(frozen=True)
class BehaviourPairs:
    """Products that belong together by what users did: `searched` (query, product_id, weight) and `together`
    (first, second, weight), in one order."""

    searched: pa.Table
    together: pa.Table

    def __len__(self) -> int:
        return len(self.searched) + len(self.together)


@dataclass(frozen=True)
class Gathered:
    """`offered` are the products at either cut, `sets` their pictures' hashes by content id (older versions, too),
    `refused` the users whose purchases judge nothing, `versions` the tables' Delta versions."""

    behaviour: Behaviour
    windows: Windows
    learned: BehaviourPairs
    later: BehaviourPairs
    offered: Mapping[datetime, tuple[Offer, ...]]
    sets: Mapping[str, tuple[str, ...]]
    places: Mapping[str, tuple[str, ...]]
    refused: frozenset[str]
    versions: Mapping[str, int | None]

    def digest(self) -> str:
        """Of all that weights depend on; of what users did, of counted pairs and of who may not be used."""
        made = hashlib.sha256()
        for pairs in (self.learned, self.later):
            for table in (pairs.searched, pairs.together):
                for column in table.columns:
                    made.update(repr(column.to_pylist()).encode())
        known = (self.windows, sorted(self.offered.items()), sorted(self.sets.items()), sorted(self.refused))
        made.update(repr(sorted(self.versions.items())).encode())
        made.update(repr(known).encode())
        return made.hexdigest()


def gather(store: TableStore, run: Run, published: Published, announce: Callable[[str], None]) -> Gathered:
    """Raises TableNotFoundError where nothing was ingested, TooLittleToLearnError."""
    behaviour = Behaviour.of(published)
    windows = Windows.of(behaviour)
    announce("pairing what users did")
    learned, later = _pairs(store, run, windows)
    if not len(learned):
        raise TooLittleToLearnError(
            f"before {windows.learn:%Y-%m-%d} nothing was chosen after a search and no two products were looked at or "
            "bought in one session by anybody who allows personalisation; bring more behaviour in"
        )
    cuts = (windows.learn, windows.test)
    users = sorted({user for cut in cuts for user in behaviour.profiles("product_image", cut).users})
    refused = withheld(store, run, pa.array(users, pa.string()), PURPOSE).keys
    announce("reading the catalogue")
    return Gathered(
        behaviour,
        windows,
        learned,
        later,
        {cut: offers(published, cut) for cut in cuts},
        picture_sets(published, windows.test),
        media_places(published),
        frozenset(refused),
        {table.name: store.version(table) for table in READ},
    )


def _pairs(store: TableStore, run: Run, windows: Windows) -> tuple[BehaviourPairs, BehaviourPairs]:
    """Of what was done and known before the cut, and of what followed until the test."""
    acts = allowed_acts(store, run, windows.test).persist()
    cut = F.lit(windows.learn)
    try:
        before = _both(acts.where((F.col("at") < cut) & (F.col("known_at") <= cut)))
        return before, _both(acts.where(F.col("at") >= cut))
    finally:
        acts.unpersist()


def _both(acts: DataFrame) -> BehaviourPairs:
    tables = [made(acts).toArrow() for made in (searched, together)]
    first, second = (table.sort_by([(name, "ascending") for name in table.column_names[:2]]) for table in tables)
    return BehaviourPairs(first, second)
