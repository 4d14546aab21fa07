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


def require_online_parity(store: TableStore, run: Run, candidate: Release, histories: Sequence[Table]) -> None:
    """Raises PromotionRefusedError where a sampled user's or product's online vectors are not the newest offline ones.

    Of a user who does not allow the purpose nothing may be there.
    """
    feast = feature_store(store.settings, offline=False)
    online = packed_store(feast)
    for table in histories:
        for purpose in table.purposes or (None,):
            view = feast.get_feature_view(view_name(table, purpose, candidate))
            names = [c.name for c in table.feature_columns if c.type == "array<float>"]
            expected = _offline(store, run, table, purpose, candidate, names)
            keys = [EntityKey(join_keys=[table.join_key], entity_values=[Value(string_val=key)]) for key in expected]
            found = online.online_read(feast.config, view, keys, names)
            for (key, vectors), (_, values) in zip(expected.items(), found, strict=True):
                there = {n: list((values or {})[n].float_list_val.val) if values else [] for n in names}
                if there != vectors:
                    raise PromotionRefusedError(f"{view.name}: what is online of {key} is not its newest row offline")


def _offline(
    store: TableStore, run: Run, table: Table, purpose: str | None, candidate: Release, names: Sequence[str]
) -> dict[str, dict[str, list[float]]]:
    """The vectors in force of some keys, [] for null or where consent is missing."""
    history = store.read(table).where(version_predicate(candidate.encoder_for(table.depends_on or "")))
    if purpose is not None:
        history = without_erased(history.where(F.col("purpose") == purpose), store.read(TOMBSTONES), "user_id")
    chosen = history.where(F.col("event_timestamp") <= F.lit(run.as_of)).select(table.join_key).distinct()
    chosen = chosen.orderBy(F.xxhash64(table.join_key)).limit(SAMPLED)
    rows = latest_rows(history, table.join_key, run.as_of, chosen).select(table.join_key, *names).toArrow().to_pylist()
    allowed = None if purpose is None else _allowing(store, chosen, purpose)
    return {
        row[table.join_key]: {
            name: list(row[name] or []) if allowed is None or row[table.join_key] in allowed else [] for name in names
        }
        for row in rows
    }


def _allowing(store: TableStore, users: DataFrame, purpose: str) -> set[Any]:
    consents = latest_consent(store.read(USER_CONSENT)).join(users, "user_id", "left_semi")
    return {row.user_id for row in consents.where(F.array_contains("purposes", purpose)).select("user_id").collect()}
