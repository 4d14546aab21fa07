"""Ids of an entity file pass through the identity seam once."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq
from pydantic import SecretStr

from pipelines.consumers.pulled import entity_rows
from pipelines.identity.subject_keys import USER, subject_key
from pipelines.settings import Settings
from pipelines.training.entities import read_entities


def test_ids_that_are_keys_already_are_taken_as_they_are(tmp_path: Path) -> None:
    settings = Settings(home=str(tmp_path), subject_hmac_key=SecretStr("a key of a shop"))
    key, path = subject_key(USER, "u1", settings), tmp_path / "labels.parquet"
    moment = [datetime(2026, 3, 1, tzinfo=UTC)]
    pq.write_table(entity_rows("user_id", ["u1"], moment), path)
    assert read_entities(path, "user_id", settings).keys.to_pylist() == [key]
    pq.write_table(entity_rows("user_id", [key], moment), path)
    assert read_entities(path, "user_id", settings, keyed=True).keys.to_pylist() == [key]
