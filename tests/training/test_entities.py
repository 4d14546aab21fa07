"""Entity files: ids pass through the identity seam once; what cannot be used is refused before anything is read."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import SecretStr

from pipelines.consumers.pulled import entity_rows
from pipelines.errors import EntityFrameError
from pipelines.identity.subject_keys import USER, subject_key
from pipelines.settings import Settings
from pipelines.training.entities import read_entities, require_output


def test_ids_that_are_keys_already_are_taken_as_they_are(tmp_path: Path) -> None:
    settings = Settings(home=str(tmp_path), subject_hmac_key=SecretStr("a key of a shop"))
    key, path = subject_key(USER, "u1", settings), tmp_path / "labels.parquet"
    moment = [datetime(2026, 3, 1, tzinfo=UTC)]
    pq.write_table(entity_rows("user_id", ["u1"], moment), path)
    assert read_entities(path, "user_id", settings).keys.to_pylist() == [key]
    pq.write_table(entity_rows("user_id", [key], moment), path)
    assert read_entities(path, "user_id", settings, keyed=True).keys.to_pylist() == [key]


def test_ids_as_categories_are_ids(tmp_path: Path) -> None:
    path = tmp_path / "labels.parquet"
    users = pa.array(["b", "a", "b"]).dictionary_encode()
    pq.write_table(pa.table({"user_id": users, "event_timestamp": [datetime(2026, 3, 1, tzinfo=UTC)] * 3}), path)
    assert read_entities(path, "user_id", Settings(home=str(tmp_path))).keys.to_pylist() == ["b", "a", "b"]


def test_a_column_that_is_there_twice(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("user_id,event_timestamp,user_id\nann,2026-03-01T00:00:00Z,bob\n")
    with pytest.raises(EntityFrameError, match="has a column twice: user_id, event_timestamp, user_id"):
        read_entities(path, "user_id", Settings(home=str(tmp_path)))


def test_outputs_that_would_harm(tmp_path: Path) -> None:
    path, folder = tmp_path / "labels.parquet", tmp_path / "folder.parquet"
    path.touch()
    folder.mkdir()
    with pytest.raises(EntityFrameError, match="is the entity file itself"):
        require_output(tmp_path / "." / "labels.parquet", path)
    with pytest.raises(EntityFrameError, match="is a folder; name a file"):
        require_output(folder, path)
