"""What `mmfs encoders list` and `mmfs releases list` say of a home with two releases, rows and a consumer."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from pipelines import cli
from pipelines.releases.inventory import Consumer, listed_encoders, listed_releases
from pipelines.releases.lineage import RELEASE_TAG, SERVICE_TAG
from pipelines.releases.mlflow_client import mlflow_client
from pipelines.releases.registry import register_encoder, register_release
from pipelines.releases.render import readable_bytes
from pipelines.settings import Settings
from pipelines.tables.aggregates import EMBEDDINGS
from tests.hand_made_home import tiny_release
from tests.online.online_home import PICTURES, OnlineHome
from tests.point_in_time.delta_by_hand import commit

R1, R2 = tiny_release("r1"), tiny_release("r2", "2")
AT = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory, home_with_mlflow: Callable[[Path], Settings]) -> Settings:
    """Both releases share tiny-e5/1; two pictures are embedded by tiny-clip/1, one by tiny-clip/2."""
    settings = home_with_mlflow(tmp_path_factory.mktemp("inventory") / "home")
    home = OnlineHome(settings, [R1, R2])
    home.furnish()
    embeddings = Path(EMBEDDINGS.location(settings.under_home()))
    for version, hashes in (("1", ["a", "b"]), ("2", ["a"])):
        partition = {"encoder": "tiny-clip", "encoder_version": version, "modality": "image"}
        commit(embeddings, pa.table({"content_hash": hashes}), partition=partition)
    register_release(R1, settings)
    register_encoder(R2.clip, settings)
    with mlflow_client(settings) as client:
        client.create_registered_model("churn")
        run = client.create_run("0")
        tags = {SERVICE_TAG: "risk", RELEASE_TAG: "r2"}
        client.create_model_version("churn", source=run.info.artifact_uri, run_id=run.info.run_id, tags=tags)
    return settings


def test_an_encoder_says_where_it_is_used(settings: Settings) -> None:
    by_key = {f"{e.name}/{e.version}": e for e in listed_encoders(settings)}
    assert list(by_key) == ["tiny-clip/1", "tiny-clip/2", "tiny-e5/1"]
    first, second, review = by_key.values()
    assert (first.aliases, second.aliases) == (("champion",), ())
    assert (first.plays, review.plays) == (("r1 clip",), ("r1 review", "r2 review"))
    assert (first.usage.rows, second.usage.rows, review.usage.rows) == (2, 1, 0)
    assert first.usage.bytes > second.usage.bytes > 0
    assert PICTURES in first.usage.views
    assert PICTURES not in second.usage.views
    # The user's pictures and the product's.
    assert first.usage.online_rows == 2
    assert first.usage.online_bytes > 100
    assert "recommendation_r1" in first.usage.services
    assert "recommendation_r2" not in first.usage.services
    assert "user_fused_personalisation_fused_1" in "".join(first.usage.views)
    assert (first.usage.consumers, second.usage.consumers) == ((), (Consumer("models:/churn/1", "risk", "r2", True),))


def test_a_release_says_what_it_is_made_of(settings: Settings) -> None:
    first, second = listed_releases(settings)
    assert (first.name, first.is_default, second.name, second.is_default) == ("r1", True, "r2", False)
    assert second.encoders == {"clip": "tiny-clip/2", "review": "tiny-e5/1"}
    assert first.checksum == R1.checksum
    assert (first.usage.rows, second.usage.rows) == (2, 1)
    assert {"recommendation_r1", "ranking_r1", "product_ranking_r1"} == set(first.usage.services)
    assert [consumer.uri for consumer in second.usage.consumers] == ["models:/churn/1"]


@pytest.mark.parametrize("what", ["encoders", "releases"])
def test_the_commands_print_a_table_or_json(
    what: str, settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for more in ([], ["--json"]):
        monkeypatch.setattr("sys.argv", ["mmfs", what, "list", "--home", settings.home, *more])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert ended.value.code == 0
        said = capsys.readouterr().out
        assert PICTURES in said
    names = [entry["name"] for entry in json.loads(said)]
    assert names == (["tiny-clip", "tiny-clip", "tiny-e5"] if what == "encoders" else ["r1", "r2"])


def test_bytes_are_readable() -> None:
    assert [readable_bytes(size) for size in (7, 1536, 5 * 2**20)] == ["7 B", "1.5 KiB", "5.0 MiB"]
