"""The pin alone decides what is the default, and what may be asked for; going back needs neither Spark nor a row."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.errors import UnknownReleaseError
from pipelines.governance.runs import Run
from pipelines.online.reader import OnlineReader
from pipelines.releases.journal import read_log, record
from pipelines.releases.pin import any_release, next_release_name, read_pin, write_manifest, write_pin
from pipelines.releases.registry import registered_encoders
from pipelines.releases.switch import rollback
from pipelines.serving.repo import apply, feature_store, find_service
from pipelines.settings import ConsentDefaults, Settings
from tests.hand_made_home import tiny_release
from tests.online.online_home import AT, PICTURES, OnlineHome

R1, R2 = tiny_release("r1"), tiny_release("r2", "2")


@pytest.fixture
def home(tmp_path: Path) -> OnlineHome:
    """r1 is live; r2 is prepared: registered with Feast, and its rows are online."""
    allowed = ConsentDefaults(personalisation="allow")
    made = OnlineHome(Settings(home=str(tmp_path / "home"), consent_default=allowed), [R1]).furnish()
    apply(made.settings, Run(made.settings, AT, "prepared"), [R1, R2])
    made.feast = feature_store(made.settings, offline=False)
    made.write(PICTURES.replace("_1", "_2"), "ann", mean_7d=[0.0, 0.0, 0.8, 0.6], weight_7d=2.5)
    return made


def vectors(
    reader: OnlineReader, service: str = "recommendation", release: str | None = None
) -> tuple[str | None, str]:
    answer = reader.read(["ann"], service, release=release)
    block = next(block for block in answer.blocks if "visual" in block.plan.name)
    return answer.plan.release, str(block.values("mean_7d"))


def test_a_candidate_is_not_served_before_it_is_live(home: OnlineHome) -> None:
    reader = OnlineReader(home.settings)
    assert vectors(reader)[0] == "r1"
    for service, release in (("recommendation_r2", None), ("recommendation", "r2")):
        with pytest.raises(UnknownReleaseError, match="'r2' is not live; live: r1"):
            reader.read(["ann"], service, release=release)
    with pytest.raises(UnknownReleaseError, match="'r2' is not live"):
        reader.read(["ann"], features=[f"{PICTURES.replace('_1', '_2')}:mean_7d"])


def test_moving_the_pin_is_enough(home: OnlineHome) -> None:
    before = vectors(OnlineReader(home.settings))
    write_pin(home.settings, [R1, R2], default="r2")
    # Nobody was told yet: who reads definitions anew follows, of all features at once.
    reader = OnlineReader(home.settings)
    assert vectors(reader)[0] == "r2"
    assert vectors(reader, release="r1") == before
    assert find_service(home.feast, home.settings, "recommendation").tags["release"] == "r2"


def test_going_back_takes_no_row_along_and_servers_follow(home: OnlineHome) -> None:
    reader = OnlineReader(home.settings)
    before = vectors(reader)
    write_pin(home.settings, [R1, R2], default="r2")
    record(home.settings, "promoted", "r2", previous="r1")
    assert rollback(home.settings, "r2") == "r2"
    assert vectors(reader)[0] == "r2"
    assert vectors(reader) != before
    assert rollback(home.settings) == "r1"
    assert vectors(reader) == before
    assert (read_pin(home.settings).default, read_log(home.settings)[-1]["what"]) == ("r1", "rolled back")
    champions = {(e.name, e.version) for e in registered_encoders(home.settings) if "champion" in e.aliases}
    assert ("tiny-clip", "1") in champions
    with pytest.raises(UnknownReleaseError, match="'r7' is not live"):
        rollback(home.settings, "r7")


def test_a_name_is_never_given_twice(home: OnlineHome) -> None:
    assert next_release_name(home.settings) == "r2"
    write_manifest(home.settings, R2)
    assert next_release_name(home.settings) == "r3"
    assert any_release(home.settings, "r2") == R2
    with pytest.raises(UnknownReleaseError, match=r"never was a release '\.\./pin'"):
        any_release(home.settings, "../pin")
