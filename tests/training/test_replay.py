"""Training sets made again from their manifests, or refused with the reason; and the check by brute force."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines import cli
from pipelines.errors import EntityFrameError, ReplayRefusedError
from pipelines.frames import frame_of
from pipelines.serving.repo import apply
from pipelines.tables.features import USER_ACTIVITY
from pipelines.tables.sources import CONSENTS, TOMBSTONES
from pipelines.training.leakage import check_leakage
from pipelines.training.manifest import read_manifest
from pipelines.training.training_set import TrainingSet, replay, training_set
from pipelines.training.writing import write_table

if TYPE_CHECKING:
    from tests.hand_made_home import Home

DAY = datetime(2026, 3, 10, tzinfo=UTC)
ONE_DAY = timedelta(days=1)
VIEWS = "user_activity_personalisation__views_7d"


def activity(user: str, at: datetime, views: int) -> dict[str, Any]:
    return {"user_id": user, "purpose": "personalisation", "views_7d": views, "event_timestamp": at, "created_at": at}


def grant(user: str, granted: bool = True) -> dict[str, Any]:
    row = {"user_id": user, "purpose": "personalisation", "granted": granted, "available_at": DAY, "drop_id": "d"}
    return row | {"valid_from": DAY - 9 * ONE_DAY}


def decide(shop: Home, user: str, *, granted: bool) -> None:
    """What the user decided from the first day on."""
    row = dict.fromkeys(CONSENTS.column_names) | grant(user, granted)
    frame = frame_of(shop.store.spark, [tuple(row.values())], CONSENTS.ddl)
    shop.store.replace_where(frame, CONSENTS, f"user_id = '{user}'")


@pytest.fixture(scope="module")
def shop(standing_home: Home) -> Home:
    home = standing_home
    home.write(CONSENTS, grant("ann"), grant("bob", False))
    home.write(USER_ACTIVITY, activity("ann", DAY, 1), activity("bob", DAY, 2))
    apply(home.settings, home.run(DAY))
    return home


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("labels") / "labels.parquet"
    moments = pa.array([DAY + ONE_DAY, DAY + 2 * ONE_DAY, DAY - ONE_DAY], pa.timestamp("us", tz="UTC"))
    pq.write_table(pa.table({"user_id": ["ann", "bob", "ann"], "event_timestamp": moments}), path)
    return path


@pytest.fixture(scope="module")
def made(shop: Home, labels: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainingSet:
    out = tmp_path_factory.mktemp("first") / "train.parquet"
    return training_set(shop.store, shop.run(DAY + 3 * ONE_DAY), labels, "risk", out)


def test_made_again_bit_for_bit_whatever_came_since(
    shop: Home, labels: Path, made: TrainingSet, tmp_path: Path
) -> None:
    assert pq.read_table(made.path).column(VIEWS).to_pylist() == [1, None, None]
    # A row that would win now, and consent that would now be given.
    shop.write(USER_ACTIVITY, activity("ann", DAY + timedelta(hours=1), 9))
    decide(shop, "bob", granted=True)
    later = shop.run(DAY + 9 * ONE_DAY)
    fresh = training_set(shop.store, later, labels, "risk", tmp_path / "fresh.parquet")
    assert pq.read_table(fresh.path).column(VIEWS).to_pylist() == [9, 2, None]
    again = replay(shop.store, later, labels, made.manifest_path, tmp_path / "again.parquet")
    assert again.path.read_bytes() == made.path.read_bytes()
    assert again.manifest == made.manifest
    assert check_leakage(shop.store, again).differences == []


def test_a_leak_is_found(shop: Home, made: TrainingSet) -> None:
    assert str(check_leakage(shop.store, made)) == (
        "leakage check: 3 rows × 3 views derived again by brute force, all as in the training set"
    )
    table = pq.read_table(made.path)
    position = table.column_names.index(VIEWS)
    leaking = table.set_column(position, VIEWS, pa.array([1, None, 1], pa.int64()))
    before = made.path.read_bytes()
    pq.write_table(leaking, made.path)
    [difference] = check_leakage(shop.store, made).differences
    made.path.write_bytes(before)
    assert (difference.row, difference.view) == (2, "user_activity_personalisation")
    assert difference.moment == DAY - ONE_DAY


def test_the_command_makes_checks_and_makes_again(
    shop: Home, labels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def mmfs(*arguments: object) -> tuple[object, str]:
        home = ("--home", shop.settings.home, "--as-of", (DAY + 9 * ONE_DAY).isoformat())
        monkeypatch.setattr("sys.argv", ["mmfs", "training-set", str(labels), *map(str, arguments), *home])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        return ended.value.code, said.out + said.err

    code, said = mmfs(tmp_path / "train.csv", "--service", "risk", "--check-leakage")
    assert code == 1
    assert "write the training set as .parquet" in said
    code, said = mmfs(tmp_path / "train.parquet", "--service", "risk", "--check-leakage")
    assert code == 0, said
    assert "all as in the training set" in said
    again = tmp_path / "again.parquet"
    manifest = tmp_path / "train.parquet.manifest.json"
    code, said = mmfs(again, "--service", "risk", "--replay", manifest)
    assert code == 1
    assert "leave --service out" in said
    code, said = mmfs(again, "--replay", manifest)
    assert code == 0, said
    assert again.read_bytes() == (tmp_path / "train.parquet").read_bytes()
    assert not (tmp_path / "train.csv").exists()


def test_a_manifest_that_was_changed_is_refused(made: TrainingSet, tmp_path: Path) -> None:
    path, text = tmp_path / "changed.json", made.manifest_path.read_text()
    for before, after, reason in (
        ('"rows": 3', '"rows": 5', "was changed since it was written"),
        ('"release": "r1"', '"release": "r9"', "was changed since it was written"),
        ('"format": 2', '"format": 7', "of format 7, this version reads 2"),
        ('"rows": 3', '"rows": "many"', "rows Input should be a valid integer"),
    ):
        assert before in text
        path.write_text(text.replace(before, after, 1))
        with pytest.raises(ReplayRefusedError, match=reason):
            read_manifest(path)
    with pytest.raises(ReplayRefusedError, match="no manifest at"):
        read_manifest(tmp_path)
    renamed = made.manifest.model_copy(
        update={"views": {"v": made.manifest.views[VIEWS.partition("__")[0]].model_copy(update={"features": ["x"]})}}
    )
    path.write_text(renamed.text())
    with pytest.raises(ReplayRefusedError, match=r"this version has no user_activity\.x"):
        read_manifest(path)


def test_features_that_the_entity_file_has_already(shop: Home, made: TrainingSet, tmp_path: Path) -> None:
    with pytest.raises(EntityFrameError, match=r"the entity file has .* already; leave features out of it"):
        training_set(shop.store, shop.run(DAY), made.path, "risk", tmp_path / "out.parquet")


def test_bytes_do_not_depend_on_how_many_rows_are_joined_at_once(tmp_path: Path) -> None:
    rows = pa.table({"n": range(200_000), "v": pa.array([[float(i), 1.0] for i in range(200_000)])})
    files = []
    for size in (1_000_000, 65_536, 7_001):
        parts = (rows.slice(start, size) for start in range(0, len(rows), size))
        write_table(tmp_path / f"{size}.parquet", tmp_path / f"{size}.json", parts, lambda _: "{}")
        files.append((tmp_path / f"{size}.parquet").read_bytes())
    assert files[0] == files[1] == files[2]
    assert pq.read_table(tmp_path / "7001.parquet").equals(rows)


def test_refusals_give_the_reason(shop: Home, labels: Path, made: TrainingSet, tmp_path: Path) -> None:
    run, out = shop.run(DAY + 9 * ONE_DAY), tmp_path / "again.parquet"
    other = tmp_path / "other.parquet"
    pq.write_table(pq.read_table(labels).slice(1), other)
    with pytest.raises(ReplayRefusedError, match="is not the entity file of"):
        replay(shop.store, run, other, made.manifest_path, out)
    with pytest.raises(ReplayRefusedError, match="no manifest at"):
        replay(shop.store, run, labels, tmp_path / "none.json", out)
    damaged = tmp_path / "damaged.json"
    damaged.write_text(made.manifest.model_copy(update={"file_checksum": "sha256:0"}).text())
    with pytest.raises(ReplayRefusedError, match="the rebuilt file differs from the one of the manifest"):
        replay(shop.store, run, labels, damaged, out)
    with pytest.raises(ReplayRefusedError, match=r"was written as \.parquet"):
        replay(shop.store, run, labels, made.manifest_path, out.with_suffix(".csv"))
    decide(shop, "ann", granted=False)
    # Whatever time the run is said to have.
    for moment in (DAY + 9 * ONE_DAY, DAY - 20 * ONE_DAY):
        with pytest.raises(ReplayRefusedError, match="1 of 2 entities have withdrawn consent for personalisation, or"):
            replay(shop.store, shop.run(moment), labels, made.manifest_path, out)
    decide(shop, "ann", granted=True)
    shop.write(TOMBSTONES, {"subject_id": "ann", "erased_at": DAY + 4 * ONE_DAY, "reason": "asked for it"})
    with pytest.raises(ReplayRefusedError, match="or were erased, since"):
        replay(shop.store, run, labels, made.manifest_path, out)
    shop.store.replace_where(frame_of(shop.store.spark, [], TOMBSTONES.ddl), TOMBSTONES, "subject_id = 'ann'")
    for file in Path(shop.store.location(USER_ACTIVITY)).rglob("*.parquet"):
        file.unlink()
    with pytest.raises(ReplayRefusedError, match=r"retention or an erasure removed what is needed: .* is gone"):
        replay(shop.store, run, labels, made.manifest_path, out)
    assert not out.exists()
