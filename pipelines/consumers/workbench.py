"""What every consumer works with: a home's behaviour, whose data may be used, and how training sets are pulled."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pyarrow as pa

from pipelines.consumers.acts import Acts
from pipelines.consumers.pulled import PURPOSE, Pulled, Puller
from pipelines.consumers.tree_table import TreeTable
from pipelines.delta import TableStore
from pipelines.evaluation.measure import Absent, Measured, Topic
from pipelines.point_in_time.published import Published
from pipelines.releases.manifest import Release
from pipelines.run import new_run, table_store
from pipelines.settings import Settings
from pipelines.training.withheld import withheld


@dataclass(frozen=True)
class Workbench:
    """A home at a run's time. `allowed` are the accounts that consent to personalisation and were not erased."""

    store: TableStore
    release: Release
    published: Published
    acts: Acts
    allowed: frozenset[str]
    puller: Puller


@dataclass(frozen=True)
class Outcome:
    """What a consumer found: what was done, measures of it, the training sets it stood on, and its newest model."""

    facts: Mapping[str, str]
    found: Sequence[tuple[Topic, Measured | Absent]]
    training_sets: Sequence[Pulled]
    model: TreeTable


@contextmanager
def workbench(settings: Settings, release: Release, as_of: datetime | None = None) -> Iterator[Workbench]:
    """Opens a home, with a folder for training sets that is gone afterwards: they hold ids of people.

    Raises HomeError, TableNotFoundError where nothing was ingested.
    """
    with (
        table_store(settings, "mmfs consumer") as store,
        tempfile.TemporaryDirectory(prefix="mmfs-consumer-") as folder,
    ):
        run = new_run(settings, as_of)
        published = Published(settings, release, run.as_of)
        acts = Acts.of(published)
        accounts = sorted(acts.accounts)
        refused = withheld(store, run, pa.array(accounts, pa.string()), PURPOSE).keys
        allowed = acts.accounts - frozenset(refused)
        yield Workbench(store, release, published, acts, allowed, Puller(store, run, release, Path(folder)))
