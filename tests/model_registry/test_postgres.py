"""MLflow on a real Postgres: registering, comparing aliases, checking models; and when it is gone, serving goes on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pipelines.errors import PipelineError
from pipelines.governance.runs import Run, StepReport
from pipelines.releases.check import check_model
from pipelines.releases.doctor import examine, repair
from pipelines.releases.lineage import Lineage
from pipelines.releases.mlflow_client import mlflow_client
from pipelines.releases.registry import log_run, register_release, registered_encoders
from pipelines.serving.online import read_features
from pipelines.settings import Settings
from tests.hand_made_home import tiny_release
from tests.online.online_home import OnlineHome
from tests.postgres_server import PostgresServer

AT = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    server = PostgresServer()
    server.start()
    yield server
    server.remove()


def test_mlflow_on_postgres(postgres: PostgresServer, tmp_path: Path) -> None:
    settings = Settings(home=str(tmp_path / "home"), mlflow_tracking_uri=postgres.url)
    release = tiny_release("r1")
    home = OnlineHome(settings, [release]).furnish()
    registered = register_release(release, settings)
    assert {e.uri for e in registered_encoders(settings)} == {"models:/tiny-clip/1", "models:/tiny-e5/1"}
    run_id = log_run(Run(settings, AT, "run-1"), [StepReport("encode")], release, settings)
    lineage = Lineage(("risk",), "r1", release.parts_checksum, (), ())
    with mlflow_client(settings) as client:
        assert client.get_run(run_id).inputs is not None
        # Artifacts lie in the home, not in whatever folder the command was called from.
        model = client.get_logged_model(registered["clip"].model_id)
        assert model.artifact_location.startswith(f"{Path(settings.home).as_uri()}/mlflow/artifacts/encoders/")
        client.create_registered_model("churn")
        client.create_model_version("churn", source=model.artifact_location, run_id=run_id, tags=lineage.tags())
    assert check_model(settings, "models:/churn/1").services == ("risk_r1",)
    # The views were applied before their encoders were registered.
    repair(settings, [finding for finding in examine(settings) if finding.where != "online store"])
    assert {finding.where for finding in examine(settings)} == {"online store"}
    postgres.stop()
    _goes_on_without(settings, home)


def _goes_on_without(settings: Settings, home: OnlineHome) -> None:
    started = time.monotonic()
    with pytest.raises(PipelineError, match=r"cannot be reached|MLflow at"):
        register_release(tiny_release("r1"), settings)
    assert time.monotonic() - started < 60
    assert read_features(settings, "ann").release == "r1"
    assert home.keeper.mark() == "filled"
