"""Reading features of many ids at once, wholly of one release, as far as consent allows. No Spark, no torch."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

from feast import FeatureStore

from pipelines.errors import (
    HomeEmptyError,
    OnlineStoreError,
    OnlineStoreUnreachableError,
    RegistryUnreadableError,
    ReleaseDamagedError,
    UnknownFeatureError,
    UnknownReleaseError,
    UnknownServiceError,
)
from pipelines.governance.home import open_home
from pipelines.identity.subject_keys import USER, subject_key
from pipelines.online.blocks import Block
from pipelines.online.definitions import Definitions
from pipelines.online.keys import TextKeys
from pipelines.online.layout import HEAD_SIZE, PRESENT, RowSchema, split
from pipelines.online.plans import ReadPlan
from pipelines.online.rows import Reading, RowKeeper, Schemas
from pipelines.online.values import unpack_texts
from pipelines.serving.repo import feature_store, packed_store
from pipelines.settings import PURPOSES, Settings

_ATTEMPTS = 3
# Seconds before what could not be reached is tried again.
_PATIENCE = 1.0
# More ids are not answered between two other things that an event loop does.
_QUICK_IDS = 16
_PERSON = "user_id"
P = TypeVar("P")
T = TypeVar("T")
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Answer:
    """What was read of n ids, in the order asked.

    Attributes:
        ids: as given.
        plan: the service or features asked for, with the release that all values are of.
        blocks: one per view.
        consents: what each subject allows, None for one of whom no consent is stored (the defaults hold), or where
            no person is concerned.
    """

    ids: Sequence[str]
    plan: ReadPlan
    blocks: list[Block]
    consents: list[frozenset[str] | None]


class OnlineReader:
    """Keeps definitions and the online store open; safe in threads.

    Definitions are read again when the online store says that they changed, and by `refresh`. While they cannot be
    read, the last good ones serve. `default` is what subjects of whom no consent is stored allow.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        open_home(settings, create=False)
        self._feast: FeatureStore = feature_store(settings, offline=False)
        self._keeper: RowKeeper = packed_store(self._feast).keeper(self._feast.config)
        self._quick = packed_store(self._feast).quick_keeper(self._feast.config)
        self._quick_from = 0.0
        self._schemas = Schemas(self._keeper)
        self._lock = threading.Lock()
        self._retry_at = 0.0
        self._keys: dict[str, TextKeys] = {}
        self.default = frozenset(p for p in PURPOSES if getattr(settings.consent_default, p) == "allow")
        self.definitions = self._loaded()

    def read(
        self,
        ids: Sequence[str],
        service: str = "recommendation",
        *,
        features: Sequence[str] = (),
        release: str | None = None,
        kind: str = USER,
    ) -> Answer:
        """Features of a service, or those listed as `view:feature`, of users, of other subjects (`kind` "device"), or
        of products where the features are products'.

        Ids of which nothing is known are answered NOT_FOUND; one asked for twice is answered twice.
        Raises UnknownServiceError, UnknownFeatureError, UnknownReleaseError, OnlineStoreError.
        """

        def choose(definitions: Definitions) -> ReadPlan:
            return definitions.features(features, release) if features else definitions.service(service, release)

        return self.settled(choose, lambda chosen: self.fetched(ids, chosen, kind))

    def settled(self, choose: Callable[[Definitions], P], fetch: Callable[[P], tuple[int, Callable[[], T]]]) -> T:
        """What `fetch` reads of the chosen plan, by definitions that still held when it was read.

        `fetch` gives the store's generation and what makes the result of what was read. Raises OnlineStoreError, and
        what the three raise.
        """
        for _ in range(_ATTEMPTS):
            definitions = self.definitions
            try:
                chosen = choose(definitions)
            except (UnknownServiceError, UnknownFeatureError, UnknownReleaseError):
                # It may have been applied a moment ago.
                if self._reload_if_changed(definitions, self._keeper.read([], []).generation):
                    continue
                raise
            generation, finish = fetch(chosen)
            if generation == definitions.generation or not self._reload_if_changed(definitions, generation):
                return finish()
        raise OnlineStoreError("the definitions change faster than they can be read; ask again")

    def fetched(self, ids: Sequence[str], plan: ReadPlan, kind: str = USER) -> tuple[int, Callable[[], Answer]]:
        """What `settled` wants of a fetch."""
        reading = self._keeper.read(self._keys_of(ids, plan.join_key, kind), plan.fields)
        return reading.generation, lambda: self._judged(ids, plan, reading)

    def quick(
        self,
        ids: Sequence[str],
        service: str,
        *,
        features: Sequence[str] = (),
        release: str | None = None,
        kind: str = USER,
    ) -> Answer | None:
        """What `read` answers, for an event loop: None where that would mean waiting or reading definitions anew.

        Raises OnlineStoreNotReadyError.
        """
        if self._quick is None or len(ids) > _QUICK_IDS or time.monotonic() < self._quick_from:
            return None
        definitions = self.definitions
        try:
            chosen = definitions.features(features, release) if features else definitions.service(service, release)
            reading = self._quick.read(self._keys_of(ids, chosen.join_key, kind), chosen.fields)
        except (UnknownServiceError, UnknownFeatureError, UnknownReleaseError):
            return None
        except OnlineStoreUnreachableError:
            # Others would wait as long; for a while they ask in a thread.
            self._quick_from = time.monotonic() + _PATIENCE
            return None
        if reading.generation != definitions.generation:
            return None
        return self._judged(ids, chosen, reading)

    def require_ready(self) -> None:
        """Raises OnlineStoreError where the online store cannot be read, or was emptied."""
        self._keeper.read([], []).require_ready()

    def refresh(self) -> None:
        """Read the definitions anew, also where the online store tells of no change (plain `feast apply`).

        Raises RegistryUnreadableError, HomeEmptyError, ReleaseDamagedError, OnlineStoreError; the last good ones stay.
        """
        with self._lock:
            self.definitions = self._loaded()

    def _loaded(self) -> Definitions:
        # The generation first: a change while the registry is read is then met by the next request.
        generation = self._keeper.read([], []).generation
        return Definitions.load(self._feast, self.settings, generation)

    def _reload_if_changed(self, used: Definitions, generation: int) -> bool:
        """Whether there are other definitions now than those that a request used."""
        with self._lock:
            if self.definitions is not used:
                return True
            if generation == used.generation or time.monotonic() < self._retry_at:
                return False
            try:
                self.definitions = self._loaded()
            except (RegistryUnreadableError, HomeEmptyError, ReleaseDamagedError) as error:
                self._retry_at = time.monotonic() + _PATIENCE
                _log.warning("the last good definitions serve on: %s", error)
                return False
            return True

    def _keys_of(self, ids: Sequence[str], join_key: str, kind: str) -> list[bytes]:
        if join_key not in self._keys:
            self._keys[join_key] = TextKeys(self._feast.config.project, join_key)
        key = self._keys[join_key]
        if join_key != _PERSON:
            return key.many(ids)
        # Nobody has the empty id, and nobody's row is under it.
        return [key(subject_key(kind, identifier, self.settings) if identifier else "") for identifier in ids]

    def _judged(self, ids: Sequence[str], chosen: ReadPlan, reading: Reading) -> Answer:
        """Rows as columns, without those of subjects who do not allow a view's purpose.

        Raises OnlineStoreNotReadyError, OnlineStoreOutdatedError.
        """
        reading.require_ready()
        columns = [[row[i] for row in reading.rows] for i in range(len(chosen.fields))]
        consents: list[frozenset[str] | None] = [None] * len(ids)
        if chosen.consent is not None:
            schema = chosen.consent.schema
            consents = [None if row is None else _purposes(self._schemas.as_now(schema, row)) for row in columns.pop()]
        blocks = []
        for view, rows in zip(chosen.views, columns, strict=True):
            refused = self._refused(view.purpose, consents)
            for i in refused:
                rows[i] = None
            now = [None if row is None else self._schemas.as_now(view.schema, row) for row in rows]
            blocks.append(Block(view, now, refused))
        return Answer(ids, chosen, blocks, consents)

    def _refused(self, purpose: str | None, consents: Sequence[frozenset[str] | None]) -> list[int]:
        if purpose is None:
            return []
        return [i for i, stored in enumerate(consents) if purpose not in (self.default if stored is None else stored)]


def _purposes(row: bytes) -> frozenset[str]:
    """The purposes that a row of user_consent, whose only feature they are, allows."""
    return _named(row[HEAD_SIZE:])


@lru_cache(maxsize=1024)
def _named(rest: bytes) -> frozenset[str]:
    # What follows the times repeats among users; it is the same for all who allow the same.
    [(state, raw)] = split(_CONSENT, bytes(HEAD_SIZE) + rest)
    return frozenset(unpack_texts(raw)) if state == PRESENT else frozenset()


_CONSENT = RowSchema((("purposes", "texts"),))
