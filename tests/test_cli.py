"""The command: what is wrong is said in one line with exit code 1, and nothing is left half-written."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from pipelines import cli
from pipelines.delta import TableStore
from pipelines.governance.home import HOME_VERSION, MARKER
from pipelines.run import new_run
from pipelines.settings import load_settings
from pipelines.sources.ingest import ingest
from pipelines.tables.governance import DROPS
from pipelines.tables.sources import BRONZE, EVENTS, QUARANTINE
from tests.sources.shop_rows import AS_OF, GOOD, write_csv

Mmfs = Callable[..., str]
AT = ("--as-of", AS_OF.isoformat())


@pytest.fixture
def fails(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Mmfs:
    """Run `mmfs` with arguments that it must refuse; what it says."""

    def run(*arguments: object) -> str:
        monkeypatch.setattr("sys.argv", ["mmfs", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert ended.value.code == 1
        said = capsys.readouterr().err.strip()
        assert said.startswith("mmfs: ")
        assert "\n" not in said
        return said

    return run


def test_what_cannot_be_used_is_said_before_spark_starts(fails: Mmfs, tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert "Run `mmfs run DROP` first" in fails("features", "u1", "--home", home)
    assert "Run `mmfs run DROP` first" in fails("encode", "--home", home)
    assert "not an ISO 8601 instant" in fails("run", tmp_path, "--home", home, "--as-of", "yesterday")
    assert "has no offset" in fails("run", tmp_path, "--home", home, "--as-of", "2026-01-01T00:00:00")
    assert "write for example 2026-01-01T00:00:00Z" in fails("run", tmp_path, "--home", home, "--as-of", "2026-01-01")
    assert not home.exists()
    home.mkdir()
    (home / MARKER).write_text(json.dumps({"version": HOME_VERSION + 1}))
    assert "newer version" in fails("run", tmp_path, "--home", home)
    assert "newer version" in fails("features", "u1", "--home", home)
    assert [p.name for p in home.iterdir()] == [MARKER]


def test_a_drop_that_cannot_be_read_leaves_no_home(fails: Mmfs, tmp_path: Path, spark: SparkSession) -> None:
    home, drop = tmp_path / "home", tmp_path / "drop"
    assert "there is no drop at" in fails("run", drop, "--home", home)
    drop.mkdir()
    (drop / "sales.csv").write_text("a,b\n1,2\n")
    assert "found: sales.csv" in fails("run", drop, "--home", home)
    write_csv(drop / "events.csv", [{k: v for k, v in GOOD["events"].items() if k != "event_timestamp"}])
    assert "table 'events' has no column 'event_timestamp'" in fails("run", drop, "--home", home)
    (drop / "events.csv").unlink()
    (drop / "events.parquet").write_bytes(bytes(range(256)) * 8)
    assert "file events.parquet of the drop cannot be read" in fails("run", drop, "--home", home)
    (drop / "events.parquet").unlink()
    (drop / "events.jsonl").write_text('{"event_id": \n')
    assert "no line of events.jsonl is a JSON object" in fails("run", drop, "--home", home)
    assert not home.exists()


def test_damage_that_shows_late_is_said_in_one_line(fails: Mmfs, tmp_path: Path, spark: SparkSession) -> None:
    home, drop = tmp_path / "home", tmp_path / "drop"
    file = drop / "events" / "part 1.parquet"
    file.parent.mkdir(parents=True)
    rows = [GOOD["events"] | {"event_id": f"e{i}", "query": f"{i:x}" * 40} for i in range(5_000)]
    pq.write_table(pa.Table.from_pylist(rows), file)
    whole = file.read_bytes()
    # The footer, from which Spark knows the columns, is whole.
    file.write_bytes(whole[:8] + bytes(len(whole) // 2) + whole[8 + len(whole) // 2 :])
    assert "file events/part 1.parquet of the drop cannot be read" in fails("ingest", drop, "--home", home, *AT)
    file.write_bytes(whole)
    store = TableStore(spark, load_settings(home=str(home)))
    ingest(store, new_run(store.settings, AS_OF), str(drop))
    assert store.read(EVENTS).count() == len(rows)


def test_an_unknown_encoder_is_refused_before_anything_is_made(
    fails: Mmfs, tmp_path: Path, spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_csv(tmp_path / "drop" / "events.csv", [GOOD["events"]])
    monkeypatch.setenv("MMFS_CLIP_ENCODER", "bundled:nonsense")
    arguments = ("run", tmp_path / "drop", "--home", tmp_path / "home", *AT)
    for command in ("run", "ingest"):
        assert "MMFS_CLIP_ENCODER: unknown encoder 'bundled:nonsense'" in fails(command, *arguments[1:])
    monkeypatch.delenv("MMFS_CLIP_ENCODER")
    monkeypatch.setenv("MMFS_REVIEW_ENCODER", "sentence-transformers:some/model")
    assert "MMFS_REVIEW_ENCODER_DIMENSIONS" in fails(*arguments)
    monkeypatch.delenv("MMFS_REVIEW_ENCODER")
    monkeypatch.setenv("MMFS_REVIEW_ENCODER_DIMENSIONS", "768")
    assert "declared 768 dimensions but" in fails(*arguments)
    assert not (tmp_path / "home").exists()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own with room for very little."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)]
    if os.geteuid() or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("may not mount a file system here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_after_a_full_disk_the_same_command_carries_on(
    fails: Mmfs, small_disk: Path, tmp_path: Path, spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop, home = tmp_path / "drop", small_disk / "home"
    events = [{**GOOD["events"], "event_id": f"e{i}"} for i in range(20)]
    write_csv(drop / "events.csv", [*events, events[0], {**GOOD["events"], "event_id": "broken", "price": "-1"}])
    arguments = ("ingest", drop, "--home", home, *AT)
    assert "no space is left" in fails(*arguments)
    store = TableStore(spark, load_settings(home=str(home)))
    assert store.read(DROPS).count() == 0

    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    monkeypatch.setattr("sys.argv", ["mmfs", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 0
    assert [store.read(t).count() for t in (BRONZE["events"], EVENTS, QUARANTINE, DROPS)] == [22, 20, 1, 1]
