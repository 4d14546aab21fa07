"""Reading many ids: order, statuses, consent, releases, and what happens while definitions change."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipelines.errors import (
    FeatureNamesError,
    HomeEmptyError,
    OnlineStoreNotReadyError,
    UnknownFeatureError,
    UnknownReleaseError,
    UnknownServiceError,
)
from pipelines.online.blocks import STATUS_NAMES
from pipelines.online.reader import Answer, OnlineReader
from pipelines.settings import PROJECT_ROOT, Settings
from tests.hand_made_home import tiny_release
from tests.online.online_home import ACTIVITY, AT, PICTURES, OnlineHome
from tests.online.redis_server import RedisServer


@pytest.fixture(params=["redis", "sqlite"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    if request.param == "sqlite":
        return Settings(home=str(tmp_path / "home"))
    server: RedisServer = request.getfixturevalue("redis_server")
    server.client().flushall()
    return Settings(home=str(tmp_path / "home"), feast_config="feature_store.redis.yaml", redis=server.address)


@pytest.fixture
def home(settings: Settings) -> OnlineHome:
    return OnlineHome(settings).furnish()


def statuses(answer: Answer, view: str, feature: str) -> list[str]:
    block = next(b for b in answer.blocks if b.plan.name == view)
    return [STATUS_NAMES[s] for s in block.statuses[:, block.plan.features.index(feature)]]


def values(answer: Answer, view: str, feature: str) -> list[Any]:
    return next(b for b in answer.blocks if b.plan.name == view).values(feature)


def test_a_batch_keeps_its_order_and_no_id_fails_it(home: OnlineHome) -> None:
    answer = OnlineReader(home.settings).read(["nobody", "ann", "", "bob", "ann", "x" * 10_000, "a\0b"])
    assert answer.ids[1] == "ann"
    assert values(answer, ACTIVITY, "views_7d") == [None, 3, None, None, 3, None, None]
    told = ["NO_CONSENT", "PRESENT", "NO_CONSENT", "NO_CONSENT", "PRESENT", "NO_CONSENT", "NO_CONSENT"]
    assert statuses(answer, ACTIVITY, "views_7d") == told
    assert answer.plan.release == "r1"
    assert answer.consents[1] == frozenset({"marketing", "personalisation"})


def test_nothing_is_told_without_consent_and_the_default_holds_for_the_unknown(home: OnlineHome) -> None:
    allowing = Settings(**{**home.settings.model_dump(), "consent_default": {"personalisation": "allow"}})
    answer = OnlineReader(allowing).read(["bob", "cyd", "zoe"])
    assert statuses(answer, ACTIVITY, "views_7d") == ["NO_CONSENT", "PRESENT", "NOT_FOUND"]
    assert values(answer, ACTIVITY, "views_7d") == [None, 9, None]
    block = answer.blocks[0]
    assert block.times[0] == 0
    assert not np.asarray(block.column("views_7d"))[0]
    device = OnlineReader(allowing).read(["d1"], kind="device")
    assert values(device, ACTIVITY, "views_7d") == [2]


def test_columns_are_numpy(home: OnlineHome) -> None:
    reader = OnlineReader(home.settings)
    block = next(b for b in reader.read(["ann", "ann"]).blocks if b.plan.name == PICTURES)
    mean = block.column("mean_7d")
    assert isinstance(mean, np.ndarray)
    assert mean.shape == (2, 4)
    assert mean.dtype == np.float32
    np.testing.assert_allclose(mean, [[0.6, 0.8, 0, 0]] * 2, rtol=1e-6)
    assert block.values("medoid_product_ids") == [["p1", "牌"]] * 2
    assert block.values("mean_30d") == [None, None]
    mixed = next(b for b in reader.read(["ann", "nobody"]).blocks if b.plan.name == PICTURES)
    assert np.isnan(np.asarray(mixed.column("mean_7d"))[1]).all()
    assert block.times.tolist() == [int(AT.timestamp() * 1e6)] * 2
    activity = reader.read(["ann"]).blocks[0]
    assert activity.column("last_event_at")[0] == np.datetime64("2026-03-01T12:30:00.250")
    numbers = dict(zip(activity.plan.numbers, activity.numbers()[0].tolist(), strict=True))
    assert (numbers["views_7d"], numbers["night_share_30d"]) == (3, 0.25)
    assert numbers["last_event_at"] == AT.timestamp() * 1e6
    assert np.isnan(numbers["clicks_7d"])


def test_features_by_name_obey_the_purpose_of_each_view(home: OnlineHome) -> None:
    reader = OnlineReader(home.settings)
    answer = reader.read(["bob", "ann"], features=[f"{ACTIVITY}:views_7d", "user_activity_marketing:views_7d"])
    assert values(answer, ACTIVITY, "views_7d") == [None, 3]
    assert statuses(answer, "user_activity_marketing", "views_7d") == ["NO_CONSENT", "NOT_FOUND"]
    with pytest.raises(FeatureNamesError, match="views_7d"):
        answer.plan.answer_names(full_feature_names=False)
    with pytest.raises(UnknownFeatureError, match="nonsense"):
        reader.read(["ann"], features=[f"{ACTIVITY}:nonsense"])
    with pytest.raises(UnknownFeatureError, match="product_id and user_id"):
        reader.read(["ann"], features=[f"{ACTIVITY}:views_7d", "product_activity:price"])
    products = reader.read(["p1", "p2"], "product_ranking")
    assert values(products, "product_activity", "price") == [9.5, None]


def test_a_release_that_is_gone_is_refused_at_once(home: OnlineHome) -> None:
    r1, r2 = home_releases()
    home.release([r1, r2], "r2")
    reader = OnlineReader(home.settings)
    assert reader.read(["ann"]).plan.release == "r2"
    old = reader.read(["ann"], release="r1")
    assert values(old, PICTURES, "weight_7d") == [2.5]
    assert reader.read(["ann"], features=[f"{PICTURES}:weight_7d"]).plan.release == "r1"
    home.release([r2], "r2")
    for ask in (
        lambda: reader.read(["ann"], release="r1"),
        lambda: reader.read(["ann"], "recommendation_r1"),
    ):
        with pytest.raises(UnknownReleaseError, match="live: r2"):
            ask()
    with pytest.raises(UnknownFeatureError):
        reader.read(["ann"], features=[f"{PICTURES}:weight_7d"])
    with pytest.raises(UnknownServiceError, match="marketing_r2"):
        reader.read(["ann"], "churn")
    # What is shared by releases is still there.
    assert values(reader.read(["ann"]), ACTIVITY, "views_7d") == [3]


def home_releases() -> tuple[Any, Any]:
    return tiny_release("r1", "1"), tiny_release("r2", "2")


def test_a_new_release_is_found_without_restarting(home: OnlineHome) -> None:
    reader = OnlineReader(home.settings)
    with pytest.raises(UnknownReleaseError):
        reader.read(["ann"], release="r2")
    home.release([*home_releases()], "r1")
    assert reader.read(["ann"], release="r2").plan.release == "r2"


def test_the_last_good_definitions_serve_while_the_registry_cannot_be_read(
    settings: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    home = OnlineHome(settings).furnish()
    reader = OnlineReader(settings)
    pin = tmp_path / "home" / "releases" / "pin.json"
    pin.write_text("{")
    home.keeper.raise_generation()
    assert values(reader.read(["ann"]), ACTIVITY, "views_7d") == [3]
    assert "last good definitions" in caplog.text


def test_an_emptied_store_calls_nobody_unknown(home: OnlineHome) -> None:
    reader = OnlineReader(home.settings)
    home.keeper.delete_everything()
    with pytest.raises(OnlineStoreNotReadyError, match="mmfs materialise"):
        reader.read(["ann"])


def test_a_home_without_services_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(HomeEmptyError):
        OnlineReader(Settings(home=str(tmp_path / "home")))


def test_features_older_than_their_ttl_are_not_told(settings: Settings) -> None:
    home = OnlineHome(settings)
    view = home.feast.get_feature_view(ACTIVITY)
    view.ttl = timedelta(days=1)
    home.feast.apply([view])
    home.furnish()
    answer = OnlineReader(settings).read(["ann", "nobody"])
    assert statuses(answer, ACTIVITY, "views_7d") == ["OUTSIDE_MAX_AGE", "NO_CONSENT"]
    assert statuses(answer, PICTURES, "weight_7d")[0] == "PRESENT"


def test_reading_starts_no_spark_and_needs_no_torch(home: OnlineHome) -> None:
    program = """
import sys
sys.modules["pyspark"] = sys.modules["torch"] = sys.modules["mlflow"] = None
from pipelines.settings import Settings
from pipelines.serving.online import read_features
settings = Settings.model_validate_json(sys.argv[1])
print(read_features(settings, "ann").value("user_activity", "views_7d"))
"""
    command = [sys.executable, "-c", program, home.settings.model_dump_json()]
    done = subprocess.run(command, cwd=PROJECT_ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "3"), done.stderr


def test_a_file_of_feasts_own_store_is_renewed_and_never_misread(tmp_path: Path) -> None:
    settings = Settings(home=str(tmp_path / "home"))
    home = OnlineHome(settings).furnish()
    file = tmp_path / "home" / "feast" / "online.db"
    file.unlink()
    with closing(sqlite3.connect(file)) as stock, stock:
        stock.execute('CREATE TABLE "mmfs_user_activity" (entity_key BLOB, feature_name TEXT, value BLOB)')
    with pytest.raises(OnlineStoreNotReadyError, match="written by an earlier version; run: mmfs apply, then mmfs mat"):
        OnlineReader(settings).read(["ann"])
    home.furnish()
    assert values(OnlineReader(settings).read(["ann"]), ACTIVITY, "views_7d") == [3]
    with closing(sqlite3.connect(file)) as renewed:
        tables = {name for (name,) in renewed.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert tables == {"rows", "about"}
