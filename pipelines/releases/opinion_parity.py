"""Are backfilled opinions what the texts say? Counted a second time, text by text, of a sample."""

from __future__ import annotations

import datetime as dt
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyspark.sql import functions as F

from pipelines.delta import TableStore
from pipelines.errors import PromotionRefusedError
from pipelines.features.opinion_rows import SIDES, SLOTS
from pipelines.features.opinion_texts import judged_texts
from pipelines.features.opinions import PURPOSES
from pipelines.features.steps import ALWAYS
from pipelines.features.subjects import EVER, FOREVER, subjects_of
from pipelines.releases.manifest import Release
from pipelines.tables.definitions import PRODUCT_OPINION_DAYS, USER_OPINION_DAYS
from pipelines.tables.features import USER_OPINIONS
from pipelines.tables.schema import Table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_SIDE_OF = {polarity: side for side, polarity in SIDES.items()}


def require_counted(store: TableStore, table: Table, candidate: Release, history: DataFrame, sampled: int) -> None:
    """Raises PromotionRefusedError where a row of some of a history's users or products is not what texts say.

    `history` are the candidate's rows.
    """
    key = table.join_key
    chosen = history.select(key).distinct().orderBy(F.xxhash64(key)).limit(sampled)
    rows = history.join(F.broadcast(chosen), key).toArrow().to_pylist()
    members = _members(store, table, chosen.toArrow())
    owner = "subject_id" if table is USER_OPINIONS else "product_id"
    said = _texts(store, candidate, owner, {member["owner"] for of in members.values() for member in of})
    windows = USER_OPINION_DAYS if table is USER_OPINIONS else PRODUCT_OPINION_DAYS
    for row in rows:
        purpose = row.get("purpose", PURPOSES[table][0])
        counting = [text for member in members[row[key]] for text in said[member["owner"]]
                    if _counts(row, purpose, member, text)]  # fmt: skip
        for days in windows:
            expected = _counted(counting, (row["event_timestamp"] - _EPOCH).days - days)
            found = {name: row[f"{name}_{days}d"] for name in expected}
            if found != expected:
                raise PromotionRefusedError(
                    f"{table.name}: the row of {row[key]} at {row['event_timestamp']} ({days} days) is not what its "
                    f"texts say: {_difference(found, expected)}"
                )


def _members(store: TableStore, table: Table, keys: pa.Table) -> dict[str, list[dict[str, Any]]]:
    """Whose texts count for whom, from which midnight until which, and since when that was known."""
    if table is not USER_OPINIONS:
        always = {"held_from": EVER, "held_until": FOREVER, "link_available_at": None}
        return {key: [{"owner": key, **always}] for key in keys[table.join_key].to_pylist()}
    users = store.spark.createDataFrame(keys).withColumn("from_day", F.lit(ALWAYS))
    members = defaultdict(list)
    for member in subjects_of(store, users).withColumnRenamed("subject_id", "owner").toArrow().to_pylist():
        members[member["user_id"]].append(member)
    return members


def _texts(store: TableStore, release: Release, owner: str, owners: set[str]) -> dict[str, list[dict[str, Any]]]:
    wanted = store.spark.createDataFrame(pa.table({"owner": pa.array(sorted(owners), pa.string())}))
    found = defaultdict(list)
    rows = judged_texts(store, release, owner).join(F.broadcast(wanted), "owner", "left_semi").toArrow()
    for text in rows.to_pylist():
        found[text["owner"]].append(text)
    return found


def _counts(row: dict[str, Any], purpose: str, member: dict[str, Any], text: dict[str, Any]) -> bool:
    midnight = (row["event_timestamp"] - _EPOCH).days
    known = _EPOCH + dt.timedelta(microseconds=text["known"])
    if member["link_available_at"] is not None:
        known = max(known, member["link_available_at"])
    return (
        member["held_from"] <= midnight < member["held_until"]
        and text["day"] < midnight
        and known <= row["created_at"]
        and purpose in text["purposes"].split(",")
    )


def _counted(texts: list[dict[str, Any]], since: int) -> dict[str, int]:
    within = [text for text in texts if text["day"] >= since]
    said = Counter(slot for text in within for slot in {_slot(opinion) for opinion in text["opinions"]})
    return {"texts_judged": len(within)} | {slot: said[slot] for slot in SLOTS}


def _slot(opinion: dict[str, Any]) -> str:
    return f"{opinion['aspect']}_{_SIDE_OF[opinion['polarity']]}"


def _difference(found: dict[str, int], expected: dict[str, int]) -> str:
    return ", ".join(
        f"{name} {found[name]} instead of {expected[name]}" for name in found if found[name] != expected[name]
    )
