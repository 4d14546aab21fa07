"""Interest medoids: up to MEDOIDS products that stand for what a user looked at lately.

After PinnerSage (Pal et al., KDD 2020): several medoids, real products, instead of one mean that may lie between two
tastes. Here they are chosen greedily by facility location (Nemhauser et al., 1978) over the user's newest
RECENT_ACTIONS product actions, weighted by what the act says of interest, without decay. Deterministic.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from pyspark.sql import Window
from pyspark.sql import functions as F

from pipelines.features.interest_rows import microseconds
from pipelines.features.kernel import Floats, Ints, Vectors
from pipelines.features.tiles import interest_events, with_contents
from pipelines.identity.consent import with_allowed_purposes
from pipelines.tables.definitions import MEDOIDS, RECENT_ACTIONS
from pipelines.tables.schema import Table
from pipelines.tables.sources import CONSENTS, EVENTS, IDENTITIES, PRODUCT_CONTENTS

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

    from pipelines.delta import TableStore

# Products whose pictures are this alike to a medoid need no medoid of their own.
LEAST_GAIN = 1e-4
LIST_TYPES = (pa.list_(pa.string()), pa.list_(pa.float32()))


def recent_actions(store: TableStore, members: DataFrame, table: Table, modality: str, last_day: dt.date) -> DataFrame:
    """Product actions that rows from `from_day` on may look back at, per user that sums them.

    user_id, purpose, day, content_id, product_id, acted_at (microseconds), act_weight, linked_from, linked_until (days
    since 1970), available_at (of the act and the link). Of each subject and purpose: all from its first dirty day on
    and RECENT_ACTIONS before.
    """
    since = members.groupBy("subject_id").agg(F.min("from_day").alias("since"))
    events = interest_events(store.read(EVENTS)).where(
        F.col("product_id").isNotNull() & (F.col("day") <= F.lit(last_day))
    )
    events = with_allowed_purposes(
        events.join(since, "subject_id"), store.read(CONSENTS), store.read(IDENTITIES), store.settings
    )
    wanted = F.array_intersect("allowed_purposes", F.array(*(F.lit(p) for p in table.purposes)))
    seen = with_contents(events, store.read(PRODUCT_CONTENTS)).where(F.col("modality") == modality)
    seen = seen.withColumn("purpose", F.explode(wanted)).withColumn("is_old", F.col("day") < F.col("since"))
    newest = Window.partitionBy("subject_id", "purpose", "is_old").orderBy(*newest_first())
    seen = seen.withColumn("rank", F.row_number().over(newest)).where(f"not is_old or rank <= {RECENT_ACTIONS}")
    return seen.join(members, "subject_id").select(
        "user_id",
        "purpose",
        "day",
        "content_id",
        "product_id",
        F.unix_micros("event_timestamp").alias("acted_at"),
        F.col("weight").alias("act_weight"),
        F.unix_date("linked_from").alias("linked_from"),
        F.unix_date("linked_until").alias("linked_until"),
        F.greatest("available_at", "link_known_at").alias("available_at"),
    )


def newest_first() -> list[Column]:
    """The order of acts by which a profile's newest are chosen: acts that it does not part are alike for medoids."""
    return [F.desc("event_timestamp"), F.asc("product_id"), F.desc("weight")]


def with_medoids(made: pa.Table, actions: pa.Table, vectors: Vectors) -> pa.Table:
    """Interest rows with `medoid_product_ids` and `medoid_weights`; null where no action was known at created_at.

    `actions` holds all of the rows' users, as of `recent_actions`, with `row` of the content in `vectors`.
    """
    actions = actions.filter(pa.compute.greater_equal(actions["row"], 0)).sort_by(
        [("acted_at", "descending"), ("product_id", "ascending"), ("act_weight", "descending")]
    )
    of_user: dict[tuple[str, str], list[int]] = {}
    keys = zip(actions["user_id"].to_pylist(), actions["purpose"].to_pylist(), strict=True)
    for position, key in enumerate(keys):
        of_user.setdefault(key, []).append(position)
    positions = {key: np.array(found) for key, found in of_user.items()}
    columns = {name: actions[name].to_numpy() for name in ("row", "act_weight", "linked_from", "linked_until")}
    columns["day"] = actions["day"].cast(pa.int32()).to_numpy()
    columns["known_at"] = microseconds(actions["available_at"])
    products = actions["product_id"]
    days = made["event_timestamp"].cast(pa.date32()).cast(pa.int32()).to_numpy() - 1
    ids: list[list[str] | None] = []
    shares: list[list[float] | None] = []
    made_keys = zip(made["user_id"].to_pylist(), made["purpose"].to_pylist(), strict=True)
    for key, day, created in zip(made_keys, days, microseconds(made["created_at"]), strict=True):
        recent = _recent(positions.get(key, np.empty(0, dtype=np.int64)), columns, int(day), int(created))
        if not len(recent):
            ids.append(None)
            shares.append(None)
            continue
        contents, first, inverse = np.unique(columns["row"][recent], return_index=True, return_inverse=True)
        weights = np.bincount(inverse, weights=columns["act_weight"][recent]).astype(np.float64)
        # Newest first, and not as they happen to lie in a matrix: of equal gains the first is chosen.
        order = np.argsort(first)
        chosen, share = medoids(vectors[contents[order]], weights[order])
        ids.append([products[int(recent[first[order[c]]])].as_py() for c in chosen])
        shares.append(share.tolist())
    made = made.append_column("medoid_product_ids", pa.array(ids, LIST_TYPES[0]))
    return made.append_column("medoid_weights", pa.array(shares, LIST_TYPES[1]))


def _recent(mine: Ints, columns: dict[str, np.ndarray], day: int, created: int) -> Ints:
    """The newest actions up to a day, as far as known then, of the subjects linked at its end. `mine` is newest first.

    A row of the past that stands for what was known then must not look at what came late.
    """
    linked = (columns["linked_from"][mine] <= day) & (day < columns["linked_until"][mine])
    known = columns["known_at"][mine] <= created
    return mine[linked & known & (columns["day"][mine] <= day)][:RECENT_ACTIONS]


def medoids(vectors: Vectors, weights: Floats, count: int = MEDOIDS) -> tuple[Ints, Floats]:
    """Indices of up to `count` of the unit vectors, and the share of the weight nearest to each, heaviest first."""
    likeness = np.asarray(vectors @ vectors.T, dtype=np.float64)
    # Opposite is the worst there is: every first choice gains over it.
    covered = np.full(len(vectors), -1.0)
    chosen: list[int] = []
    for _ in range(min(count, len(vectors))):
        gains = weights @ np.maximum(likeness - covered[:, None], 0.0)
        # Sums of different order may differ in the last bits: equal gains go to the first.
        best = int(np.flatnonzero(gains >= gains.max() * (1 - 1e-9))[0])
        if gains[best] <= LEAST_GAIN * weights.sum():
            break
        chosen.append(best)
        covered = np.maximum(covered, likeness[:, best])
    nearest = np.argmax(likeness[:, chosen], axis=1)
    share = np.bincount(nearest, weights=weights, minlength=len(chosen)) / weights.sum()
    order = np.argsort(-share, kind="stable")
    return np.array(chosen)[order], share[order]
