"""The command: a page, figures, and a run in MLflow; what is missing is said."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from pipelines import cli
from pipelines.errors import TruthError
from pipelines.evaluation.evaluate import evaluate
from pipelines.evaluation.measures import MEASURES
from pipelines.evaluation.tracking import EVALUATIONS_EXPERIMENT
from pipelines.evaluation.truth import Truth
from pipelines.releases.mlflow_client import mlflow_client
from pipelines.tables.sources import IDENTITIES
from tests.evaluation.planted import RELEASE, Planted


@pytest.fixture
def linked(planted: Planted) -> Planted:
    true = {"identifier_type": "device", "human": 0, "belongs": True, "declared": True}
    planted.true("identities", true | {"identifier": "d1", "user_id": "u1"})
    planted.publish(IDENTITIES, [{"identifier_type": "device", "identifier": "device:d1", "user_id": "u1"}])
    return planted


def _mmfs(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> None:
    monkeypatch.setattr("sys.argv", ["mmfs", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 0


def test_the_command_writes_a_page_and_logs_a_run(
    linked: Planted, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    out = tmp_path / "found.html"
    _mmfs(monkeypatch, "evaluate", linked.folder, "--home", linked.settings.home, "--out", out)
    page = out.read_text()
    assert "<svg" in page
    assert "Devices and accounts" in page
    assert "Absent: there is no Delta table at" in page
    assert not re.search(r"<script|<link|(src|href)=.http", page)
    figures = json.loads(out.with_suffix(".json").read_text())["measures"]
    assert set(figures) == {measure.name for measure in MEASURES}
    assert figures["device_pairs"]["figures"][0]["value"] == 1.0
    assert "has no heads" in figures["review_sentiment"]["absent"]
    with mlflow_client(linked.settings) as client:
        experiment = client.get_experiment_by_name(EVALUATIONS_EXPERIMENT)
        assert experiment is not None
        (found,) = client.search_runs([experiment.experiment_id])
        run = client.get_run(found.info.run_id)
        assert run.data.metrics["device_pairs/device and account/precision"] == 1.0
        assert run.data.metrics["device_pairs/device and account/precision low"] < 1.0
        assert run.data.params["clip encoder"] == RELEASE.clip.key
        assert run.inputs is not None
        assert len(run.inputs.model_inputs) == 2
        assert {file.path for file in client.list_artifacts(run.info.run_id)} >= {"evaluation.html", "plots"}


def test_every_measure_is_listed_in_order(linked: Planted) -> None:
    found = evaluate(linked.settings, RELEASE, Truth(linked.folder))
    assert [measure.name for measure, _ in found.found] == [measure.name for measure in MEASURES]


def test_a_folder_that_is_no_truth_is_refused(linked: Planted, tmp_path: Path) -> None:
    with pytest.raises(TruthError, match="holds no truth"):
        Truth(tmp_path)
    (linked.folder / "truth.json").write_text("{")
    with pytest.raises(TruthError, match="is damaged"):
        _ = Truth(linked.folder).facts
