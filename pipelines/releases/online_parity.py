"""Does the online store hold of a candidate what its histories say? Checked before the pin moves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from pipelines.delta import TableStore
from pipelines.errors import PromotionRefusedError
from pipelines.governance.runs import Run
from pipelines.identity.tombstones import without_erased
from pipelines.releases.backfill import version_predicate
from pipelines.releases.manifest import Release, view_name
from pipelines.releases.parity import SAMPLED
from pipelines.serving.consent_view import latest_consent
from pipelines.serving.materialise import latest_rows
from pipelines.serving.repo import feature_store, packed_store
from pipelines.tables.features import USER_CONSENT
from pipelines.tables.schema import Table
from pipelines.tables.sources import TOMBSTONES

# What is told of a null, by the type of the column.
_NOTHING: dict[str, list[float] | None] = {"array<float>": [], "bigint": None}


def require_online_parity(store: TableStore, run: Run, candidate: Release, histories: Sequence[Table]) -> None:
    """Raises PromotionRefusedError where a sampled user's or product's online vectors, or counts where a history has
    no vectors, are not the newest offline ones.

    Of a user who does not allow the purpose nothing may be there.
    """
    feast = feature_store(store.settings, offline=False)
    online = packed_store(feast)
    for table in histories:
        for purpose in table.purposes or (None,):
            view = feast.get_feature_view(view_name(table, purpose, candidate))
            names = [c.name for c in table.feature_columns if c.type == _compared(table)]
            expected = _offline(store, run, table, purpose, candidate, names)
            keys = [EntityKey(join_keys=[table.join_key], entity_values=[Value(string_val=key)]) for key in expected]
            found = online.online_read(feast.config, view, keys, names)
            for (key, vectors), (_, values) in zip(expected.items(), found, strict=True):
                there = {n: _told(values[n]) if values else _NOTHING[_compared(table)] for n in names}
                if there != vectors:
                    raise PromotionRefusedError(f"{view.name}: what is online of {key} is not its newest row offline")


def _compared(table: Table) -> str:
    """The type of the columns that are compared."""
    vector = "array<float>"
    return vector if any(c.type == vector for c in table.feature_columns) else "bigint"


def _told(value: Value) -> list[float] | int | None:
    """A value of one of these types as it came."""
    kind = value.WhichOneof("val")
    if kind == "int64_val":
        return int(value.int64_val)
    return list(value.float_list_val.val)


def _offline(
    store: TableStore, run: Run, table: Table, purpose: str | None, candidate: Release, names: Sequence[str]
) -> dict[str, dict[str, list[float] | int | None]]:
    """The values in force of some keys; vectors that are null or may not be used are []."""
    history = store.read(table).where(version_predicate(candidate.encoder_for(table.depends_on or "")))
    if purpose is not None:
        history = without_erased(history.where(F.col("purpose") == purpose), store.read(TOMBSTONES), "user_id")
    chosen = history.where(F.col("event_timestamp") <= F.lit(run.as_of)).select(table.join_key).distinct()
    chosen = chosen.orderBy(F.xxhash64(table.join_key)).limit(SAMPLED)
    rows = latest_rows(history, table.join_key, run.as_of, chosen).select(table.join_key, *names).toArrow().to_pylist()
    allowed = None if purpose is None else _allowing(store, chosen, purpose)
    nothing = _NOTHING[_compared(table)]
    return {
        row[table.join_key]: {
            name: (row[name] or nothing if nothing is not None else row[name])
            if allowed is None or row[table.join_key] in allowed
            else nothing
            for name in names
        }
        for row in rows
    }


def _allowing(store: TableStore, users: DataFrame, purpose: str) -> set[Any]:
    consents = latest_consent(store.read(USER_CONSENT)).join(users, "user_id", "left_semi")
    return {row.user_id for row in consents.where(F.array_contains("purposes", purpose)).select("user_id").collect()}
