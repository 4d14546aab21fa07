"""Users' decayed interests at a past moment, in either encoder's space, and what they bought afterwards.

An encoder that a live release serves has its interests in Feast: they are pulled point-in-time, as a training set
would. Another's are summed anew from the tiles, which know no encoder; both are the same weighted mean.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy import sparse

from pipelines.evaluation.prototypes import Floats
from pipelines.identity.subject_keys import DEVICE
from pipelines.point_in_time.published import Published
from pipelines.releases.compare.vectors import Space
from pipelines.releases.manifest import Release, view_name
from pipelines.releases.pin import live_releases
from pipelines.settings import Settings
from pipelines.tables.aggregates import USER_TILES
from pipelines.tables.definitions import HALF_LIVES_DAYS
from pipelines.tables.features import USER_REVIEW_INTEREST, USER_VISUAL_INTEREST
from pipelines.tables.schema import Table
from pipelines.tables.sources import EVENTS, IDENTITIES

HALF_LIFE = max(HALF_LIVES_DAYS)
PURPOSE = "personalisation"
WINDOW = timedelta(days=14)
"""How long after a cut purchases count, and how long before it a user may have begun to be new."""
_TABLES: dict[str, tuple[Table, str]] = {
    "product_image": (USER_VISUAL_INTEREST, "clip"),
    "review": (USER_REVIEW_INTEREST, "review"),
}


@dataclass(frozen=True)
class Profiles:
    """Users with something to sum at a cut: weights (users, contents) of the contents' vectors, and who is new."""

    users: tuple[str, ...]
    contents: tuple[str, ...]
    weights: sparse.csr_array
    is_new: tuple[bool, ...]


@dataclass(frozen=True)
class Behaviour:
    """What the users of a home did; `cuts` are the midnights (UTC) at which they are looked at, the later first."""

    published: Published
    cuts: tuple[datetime, ...]
    _profiles: dict[tuple[str, datetime], Profiles] = field(default_factory=dict, compare=False)

    @classmethod
    def of(cls, published: Published) -> Behaviour:
        return cls(published, _cuts(published))

    def profiles(self, modality: str, cut: datetime) -> Profiles:
        """Of all users and devices with acts until the cut; summed once."""
        if (modality, cut) not in self._profiles:
            self._profiles[modality, cut] = _profiles(self.published, modality, cut)
        return self._profiles[modality, cut]


def _cuts(published: Published) -> tuple[datetime, ...]:
    """Midnights a window and two before the last act, where there are acts before them; the later first."""
    times = published.rows(EVENTS, ["event_timestamp"])["event_timestamp"]
    extremes = pc.min_max(times)
    first, last = extremes["min"].as_py(), extremes["max"].as_py()
    if last is None:
        return ()
    end = datetime(last.year, last.month, last.day, tzinfo=UTC) + timedelta(days=1)
    return tuple(cut for cut in (end - WINDOW, end - 2 * WINDOW) if cut > first + timedelta(days=1))


def _profiles(published: Published, modality: str, cut: datetime) -> Profiles:
    """What a history's newest row at the cut is the mean of: tiles until then, of the subjects linked then."""
    columns = [
        "subject_id",
        "day",
        "modality",
        "content_id",
        "allowed_purposes",
        f"weight_{HALF_LIFE}d",
        "available_at",
    ]
    tiles = published.rows(USER_TILES, columns)
    tiles = tiles.filter(pc.and_(pc.equal(tiles["modality"], modality), pc.less_equal(tiles["available_at"], cut)))
    owners = _owners(published, cut)
    sums: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    first: dict[str, datetime] = {}
    for row in tiles.to_pylist():
        end = datetime(row["day"].year, row["day"].month, row["day"].day, tzinfo=UTC) + timedelta(days=1)
        if end > cut or PURPOSE not in row["allowed_purposes"]:
            continue
        weight = row[f"weight_{HALF_LIFE}d"] * 0.5 ** ((cut - end) / timedelta(days=HALF_LIFE))
        for user in (row["subject_id"], *owners.get(row["subject_id"], ())):
            sums[user][row["content_id"]] += weight
            first[user] = min(first.get(user, end), end)
    users, contents = sorted(sums), sorted({content for weights in sums.values() for content in weights})
    number = {content: place for place, content in enumerate(contents)}
    entries = [(row, number[c], weight) for row, user in enumerate(users) for c, weight in sums[user].items()]
    rows, columns_, weights = np.array(entries, np.float64).reshape(-1, 3).T
    places = (rows.astype(np.int64), columns_.astype(np.int64))
    matrix = sparse.csr_array((weights, places), shape=(len(users), len(contents)))
    return Profiles(tuple(users), tuple(contents), matrix, tuple(first[user] > cut - WINDOW for user in users))


def _owners(published: Published, cut: datetime) -> dict[str, list[str]]:
    """Users by device linked at the cut."""
    if not published.exists(IDENTITIES):
        return {}
    columns = ["identifier_type", "identifier", "user_id", "linked_at", "unlinked_at", "available_at"]
    owners: dict[str, list[str]] = defaultdict(list)
    for row in published.rows(IDENTITIES, columns).to_pylist():
        holds = row["linked_at"] <= cut and (row["unlinked_at"] is None or cut < row["unlinked_at"])
        known = row["available_at"] is None or row["available_at"] <= cut
        if row["identifier_type"] == DEVICE and holds and known and row["user_id"] not in owners[row["identifier"]]:
            owners[row["identifier"]].append(row["user_id"])
    return owners


def interests(behaviour: Behaviour, space: Space, modality: str, cut: datetime) -> dict[str, Floats]:
    """The mean vector of each user who has one at the cut."""
    settings, of = behaviour.published.settings, behaviour.profiles(modality, cut)
    if not of.users:
        return {}
    served = _served(settings, space, modality)
    found = None if served is None else from_feast(settings, served, modality, of, cut)
    return summed(space, modality, of) if found is None else found


def summed(space: Space, modality: str, of: Profiles) -> dict[str, Floats]:
    """The weighted means of the contents that have a vector; users without any are left out."""
    has = np.array([p for p, content in enumerate(of.contents) if space.has(modality, content)], np.int64)
    weights = of.weights[:, has]
    totals = np.asarray(weights.sum(axis=1)).reshape(-1)
    means = weights @ space.matrix(modality, [of.contents[place] for place in has]).astype(np.float64)
    return {user: means[row] / totals[row] for row, user in enumerate(of.users) if totals[row] > 0}


def _served(settings: Settings, space: Space, modality: str) -> Release | None:
    part = _TABLES[modality][1]
    asked = (space.spec.key, space.spec.checksum)
    specs = ((release, release.encoders[part]) for release in live_releases(settings))
    return next((release for release, spec in specs if (spec.key, spec.checksum) == asked), None)


def from_feast(
    settings: Settings, release: Release, modality: str, of: Profiles, cut: datetime
) -> dict[str, Floats] | None:
    """Point-in-time; None where the view is not registered yet."""
    # Imported late: Feast takes seconds.
    import pandas as pd
    from feast.errors import FeatureViewNotFoundException

    from pipelines.serving.repo import feature_store

    view, column = view_name(_TABLES[modality][0], PURPOSE, release), f"mean_{HALF_LIFE}d"
    rows = pd.DataFrame({"user_id": list(of.users), "event_timestamp": pd.to_datetime([cut] * len(of.users), utc=True)})
    try:
        job = feature_store(settings).get_historical_features(rows, features=[f"{view}:{column}"])
    except FeatureViewNotFoundException:
        return None
    found: pa.Table = job.to_arrow()
    pairs = zip(found["user_id"].to_pylist(), found[column].to_pylist(), strict=True)
    return {user: np.asarray(vector, np.float64) for user, vector in pairs if vector is not None}


def purchases(published: Published, cut: datetime) -> dict[str, frozenset[str]]:
    """Products that users, or devices linked to them at the cut, bought in the window from the cut on."""
    rows = published.rows(EVENTS, ["subject_id", "event_type", "event_timestamp", "product_id"])
    inside = pc.and_(
        pc.greater_equal(rows["event_timestamp"], pa.scalar(cut)),
        pc.less(rows["event_timestamp"], pa.scalar(cut + WINDOW)),
    )
    rows = rows.filter(pc.and_(pc.equal(rows["event_type"], "purchase"), inside))
    owners, bought = _owners(published, cut), defaultdict(set)
    for row in rows.to_pylist():
        for user in (row["subject_id"], *owners.get(row["subject_id"], ())):
            if row["product_id"]:
                bought[user].add(row["product_id"])
    devices = set(owners)
    return {user: frozenset(products) for user, products in bought.items() if user not in devices}
