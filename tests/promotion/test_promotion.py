"""From r1 to another encoder and back: killed on the way, rolled back, retired; whoever reads sees one release."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pyspark.sql import functions as F

from encoders.errors import EncoderChecksumError
from encoders.heads.spec import VERSION
from encoders.spec import resolve
from pipelines.errors import (
    EncoderMismatchError,
    PipelineError,
    PromotionPendingError,
    PromotionRefusedError,
    UnknownReleaseError,
)
from pipelines.features.arrivals import fresh_contents
from pipelines.governance.progress import Batch
from pipelines.online.layout import field_id
from pipelines.releases.doctor import examine, repair
from pipelines.releases.gate import judged_by_comparison
from pipelines.releases.journal import read_journal, read_log
from pipelines.releases.lineage import RELEASE_TAG, SERVICE_TAG
from pipelines.releases.mlflow_client import mlflow_client
from pipelines.releases.pin import live_releases, read_pin, write_pin
from pipelines.releases.promote import promote
from pipelines.releases.registry import CHAMPION, registered_encoders
from pipelines.releases.retire import Retired, retire
from pipelines.releases.switch import rollback
from pipelines.serving.repo import feature_store, packed_store
from pipelines.settings import Settings
from pipelines.tables.aggregates import EMBEDDINGS
from pipelines.tables.features import HISTORIES, USER_VISUAL_INTEREST
from tests.features.interest_shop import RELEASE, at
from tests.hand_made_home import tiny_release
from tests.promotion.promoted_home import LOADED, Killed, PromotedHome, killed_at, new_home, passing, refusing

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from pyspark.sql import SparkSession

Answers = dict[str, str]
# Before the pin moves, and after.
KILLS = ("backfilling user_fused", "telling the servers")


@pytest.fixture(scope="module")
def home(
    spark: SparkSession, tmp_path_factory: pytest.TempPathFactory, with_mlflow: Callable[[Settings], Settings]
) -> PromotedHome:
    made = new_home(spark, tmp_path_factory.mktemp("promotion"))
    with_mlflow(made.settings)
    return made


@dataclass(frozen=True)
class Refused:
    """What a promotion left behind whose encoder's files were changed on the way."""

    error: str
    answers: Answers
    encoders_with_rows: set[str]


@pytest.fixture(scope="module")
def original(home: PromotedHome) -> Answers:
    return home.answers()


@pytest.fixture(scope="module")
def undone(home: PromotedHome, original: Answers) -> Refused:
    uri = home.encoder("spoilt", noise=1)
    with pytest.raises(Killed):
        promote(home.settings, [uri], gate=passing, announce=killed_at("encoding"))
    weights = home.folder / "spoilt" / "open_clip_model.safetensors"
    weights.write_bytes(b"other weights")
    with pytest.raises(EncoderMismatchError) as told:
        promote(home.settings)
    tables = [home.store.read(t) for t in (*HISTORIES, EMBEDDINGS) if t.depends_on or t is EMBEDDINGS]
    left = {row.encoder for rows in tables for row in rows.select("encoder").distinct().collect()}
    return Refused(str(told.value), home.answers(), left)


@dataclass(frozen=True)
class Promoted:
    """What was answered after each kill, and in the end: by default, and to who is pinned to r1."""

    after_kills: dict[str, Answers]
    answers: Answers
    pinned: Answers
    without_mlflow: str


@pytest.fixture(scope="module")
def promoted(home: PromotedHome, undone: Refused) -> Promoted:
    named = [home.encoder("tuned", noise=2)]
    seen = {}
    for step in KILLS:
        with pytest.raises(Killed):
            promote(home.settings, named, gate=passing, announce=killed_at(step))
        named, seen[step] = [], home.answers()
    nowhere = home.settings.model_copy(update={"mlflow_tracking_uri": "http://127.0.0.1:1"})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        with pytest.raises(PipelineError) as told:
            promote(nowhere)
    promote(home.settings)
    return Promoted(seen, home.answers(), home.answers("r1"), str(told.value))


@dataclass(frozen=True)
class RolledBack:
    """What was answered after going back, and after going forth again."""

    release: str
    back: Answers
    forth: Answers


@pytest.fixture(scope="module")
def rolled_back(home: PromotedHome, promoted: Promoted) -> RolledBack:
    name = rollback(home.settings)
    back = home.answers()
    rollback(home.settings, "r3")
    return RolledBack(name, back, home.answers())


@pytest.fixture(scope="module")
def late_rows(home: PromotedHome, rolled_back: RolledBack) -> dict[str, list[tuple[str, datetime]]]:
    """The visual interests that a regular run with a late drop wrote, by encoder."""
    as_of = home.take_in_late(live_releases(home.settings))
    rows = home.store.read(USER_VISUAL_INTEREST).where(F.col("created_at") == F.lit(as_of)).collect()
    return {
        name: sorted((r.user_id, r.event_timestamp) for r in rows if r.encoder == name) for name in ("clip", "tuned")
    }


@dataclass(frozen=True)
class Ended:
    """What was said when r1 was to be retired while a model consumed it: while its newest version, and then while an
    older one with an alias did; and afterwards, when only an older one was left."""

    refusals: tuple[str, str]
    done: Retired
    answers: Answers


@pytest.fixture(scope="module")
def ended(home: PromotedHome, rolled_back: RolledBack) -> Ended:
    with mlflow_client(home.settings) as client:
        client.create_registered_model("churn")
        _learned(client, "r1")
    refusals = [_refusal(home)]
    with mlflow_client(home.settings) as client:
        _learned(client, "r3")
        client.set_registered_model_alias("churn", "served", "1")
    refusals.append(_refusal(home))
    with mlflow_client(home.settings) as client:
        client.delete_registered_model_alias("churn", "served")
    return Ended((refusals[0], refusals[1]), retire(home.settings, "r1"), home.answers())


def _learned(client: MlflowClient, release: str) -> None:
    run, tags = client.create_run("0"), {SERVICE_TAG: "risk", RELEASE_TAG: release}
    client.create_model_version("churn", source=run.info.artifact_uri, run_id=run.info.run_id, tags=tags)


def _refusal(home: PromotedHome) -> str:
    with pytest.raises(PromotionRefusedError) as told:
        retire(home.settings, "r1")
    return str(told.value)


def test_a_release_that_the_gate_refuses_leaves_nothing(home: PromotedHome, undone: Refused) -> None:
    uri, before = home.encoder("worse", noise=3), read_pin(home.settings)
    with pytest.raises(PromotionRefusedError, match=r"worse/1 is worse\..*--force --reason"):
        promote(home.settings, [uri], gate=refusing)
    assert read_journal(home.settings) is None
    assert read_pin(home.settings) == before
    assert read_log(home.settings)[-1]["what"] == "refused"
    assert "worse" not in {encoder.name for encoder in registered_encoders(home.settings)}


def test_changed_files_undo_what_was_begun(undone: Refused, original: Answers) -> None:
    assert "were changed since they were registered" in undone.error
    assert undone.answers == original
    # Those of r1; the fused recipe has a version of its own.
    assert undone.encoders_with_rows == {"clip", "review", "fused"}


def test_readers_see_one_release_however_often_it_is_killed(promoted: Promoted, original: Answers) -> None:
    before, after = KILLS
    assert promoted.after_kills[before] == original
    assert promoted.after_kills[after] == promoted.answers
    assert all('"release":"r3"' in answer for answer in promoted.answers.values())
    assert not any(promoted.answers[user] == original[user] for user in original)


def test_a_consumer_pinned_to_the_old_release_notices_nothing(promoted: Promoted, original: Answers) -> None:
    assert promoted.pinned == original


def test_mlflow_is_told_later_where_it_does_not_answer(home: PromotedHome, promoted: Promoted) -> None:
    assert "r3 is the default and is served, but MLflow could not be told" in promoted.without_mlflow
    aliases = {encoder.name: encoder.aliases for encoder in registered_encoders(home.settings)}
    assert CHAMPION in aliases["tuned"]


def test_the_last_result_is_recorded(home: PromotedHome, promoted: Promoted) -> None:
    entry = next(entry for entry in read_log(home.settings) if entry["what"] == "promoted")
    assert (entry["release"], entry["previous"], entry["judgements"]) == ("r3", "r1", {"clip": "as good"})
    assert read_journal(home.settings) is None


def test_going_back_gives_the_same_bytes(rolled_back: RolledBack, promoted: Promoted, original: Answers) -> None:
    assert rolled_back.release == "r1"
    assert rolled_back.back == original
    assert rolled_back.forth == promoted.answers


def test_the_next_run_need_not_take_in_the_new_vectors_again(home: PromotedHome, rolled_back: RolledBack) -> None:
    batch = Batch("features", (), at(18), LOADED, False, "next")
    [release] = [release for release in live_releases(home.settings) if release.name == "r3"]
    assert fresh_contents(home.store, batch, release) is None
    # Those that come later it must.
    home.embed_later("tuned")
    fresh = fresh_contents(home.store, batch, release)
    assert fresh is not None
    assert [row.modality for row in fresh.collect()] == ["product_image"]


@pytest.mark.soak
def test_the_doctor_fills_in_a_release_that_lacks_its_rows(
    home: PromotedHome, rolled_back: RolledBack, promoted: Promoted
) -> None:
    feast = feature_store(home.settings, offline=False)
    views = [view.name for view in feast.list_batch_feature_views() if "_tuned_1" in view.name]
    packed_store(feast).keeper(feast.config).delete_fields([field_id(name) for name in views])
    assert home.answers() != promoted.answers
    # Of encoders that are only described it tells more.
    [found] = [finding for finding in examine(home.settings) if finding.where == "online store"]
    assert "user_visual_interest_personalisation_tuned_1" in found.found
    repair(home.settings, [found])
    assert not [finding for finding in examine(home.settings) if finding.where == "online store"]
    assert home.answers() == promoted.answers


@pytest.mark.soak
def test_regular_runs_go_on_for_every_live_release(late_rows: dict[str, list[tuple[str, datetime]]]) -> None:
    # Also: nothing that was backfilled differs from what a regular run makes of it, or it would be corrected here.
    assert late_rows["clip"] == late_rows["tuned"] != []


def test_a_release_that_is_consumed_stays(ended: Ended) -> None:
    assert all("r1 is consumed by models:/churn/1 (risk)" in refusal for refusal in ended.refusals)
    assert ended.done.left_behind == ("models:/churn/1",)


def test_a_retired_release_is_gone_with_its_rows(home: PromotedHome, ended: Ended, promoted: Promoted) -> None:
    assert ended.done.online.bytes > ended.done.online.rows > 0
    assert ended.done.freed_bytes > 0
    assert ended.answers == promoted.answers
    rows = home.store.read(USER_VISUAL_INTEREST)
    assert {row.encoder for row in rows.select("encoder").distinct().collect()} == {"tuned"}
    views = [view.name for view in feature_store(home.settings, offline=False).list_batch_feature_views()]
    assert not [name for name in views if "_clip_1" in name]
    with pytest.raises(UnknownReleaseError, match="'r1' is not live"):
        home.answers("r1")
    with pytest.raises(PromotionRefusedError, match="r3 is the default"):
        retire(home.settings, "r3")


@pytest.fixture
def bare(tmp_path: Path) -> Settings:
    from pipelines.governance.home import open_home

    settings = Settings(home=str(tmp_path / "home"))
    open_home(settings, create=True)
    return settings


def test_a_fourth_release_is_refused(bare: Settings) -> None:
    write_pin(bare, [tiny_release("r1"), tiny_release("r2", "2"), tiny_release("r3", "3")], "r2")
    with pytest.raises(PromotionRefusedError, match="3 releases are live; retire one first: r1, r3"):
        promote(bare, ["bundled:compact-clip"])


def test_what_there_is_nothing_to_do_for_is_said(bare: Settings) -> None:
    write_pin(bare, [RELEASE], "r1")
    with pytest.raises(PromotionRefusedError, match="name the encoder"):
        promote(bare)
    with pytest.raises(PromotionRefusedError, match="the only live release"):
        rollback(bare)
    with pytest.raises(UnknownReleaseError, match="never was a release 'r9'"):
        retire(bare, "r9")


def test_other_dimensions_do_not_pass(bare: Settings) -> None:
    wider = dataclasses.replace(RELEASE.clip, name="wide", dimensions=768)
    judgement = judged_by_comparison(bare, RELEASE.clip, wider, 0.01, lambda step: None)
    assert not judgement.passes
    assert "wide/1 has 768 dimensions, clip/1 has 8" in judgement.sentence


def test_heads_pass_with_a_reason_alone_and_on_their_own_encoder(bare: Settings) -> None:
    review = resolve("bundled:static-text")
    write_pin(bare, [dataclasses.replace(RELEASE, review=review)], "r1")
    with pytest.raises(
        PromotionRefusedError, match=f"static-text-heads/{VERSION} in place of none: nothing here shows"
    ):
        promote(bare, ["heads:bundled:static-text"])
    assert read_log(bare)[-1]["what"] == "refused"
    with pytest.raises(EncoderChecksumError, match="train the heads anew"):
        promote(bare, ["heads:bundled:e5-small"])
    with pytest.raises(PromotionRefusedError, match="are both heads; name one"):
        promote(bare, ["heads:bundled:e5-small", "heads:bundled:static-text"])


def test_one_promotion_at_a_time(bare: Settings) -> None:
    from pipelines.releases.journal import Journal, write_journal

    write_pin(bare, [RELEASE], "r1")
    write_journal(bare, Journal("r2", "r1", None, {}))
    with pytest.raises(PromotionPendingError, match="a promotion of r2 was cut off"):
        promote(bare, ["bundled:compact-clip"])
    with pytest.raises(PromotionPendingError, match="finish or undo it first"):
        retire(bare, "r1")
