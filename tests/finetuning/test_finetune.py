"""From a home to a new version that finds next purchases better; and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from encoders.finetuning.loop import Options
from encoders.load import load
from pipelines.errors import EncoderUnusableError, HomeEmptyError, TooLittleToLearnError
from pipelines.finetuning.finetune import Finetuned, Watch
from pipelines.finetuning.judged import PURCHASE
from pipelines.finetuning.publish import publish_finetuned
from pipelines.finetuning.record import Recorded
from pipelines.releases.candidates import candidate
from pipelines.releases.mlflow_client import mlflow_client
from pipelines.settings import Settings
from tests.finetuning.striped_shop import DAY, DAYS, START, striped_shop

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

OPTIONS = Options(steps=60, judged_every=10, pairs=32, picture_rate=3e-2, text_rate=3e-3, keep=0.0)
Result = tuple[Settings, Finetuned, Recorded, list[str]]


@pytest.fixture(scope="module")
def result(
    tmp_path_factory: pytest.TempPathFactory, spark: SparkSession, with_mlflow: Callable[[Settings], Settings]
) -> Result:
    settings = with_mlflow(striped_shop(tmp_path_factory.mktemp("striped")))
    stages: list[str] = []
    found, recorded = publish_finetuned(settings, None, OPTIONS, None, Watch(stages.append))
    return settings, found, recorded, stages


def test_it_finds_next_purchases_better(result: Result) -> None:
    _, found, recorded, _ = result
    assert found.judged.is_better
    assert found.judged.changes[PURCHASE].difference.low > 0
    assert "is better than" in recorded.sentence
    assert found.gathered.windows.learn == START + (DAYS - 28) * DAY


def test_it_is_the_next_version_with_its_descent(result: Result) -> None:
    settings, found, recorded, _ = result
    assert recorded.encoder is not None
    assert (recorded.encoder.name, recorded.encoder.version) == ("tiny-clip", "2")
    spec = candidate(recorded.encoder.uri, settings)
    assert spec.dimensions == found.base.dimensions
    assert "Learned from what happened before" in Path(spec.model_card or "").read_text(encoding="utf-8")
    vector = load(spec).encode_images([Image.new("RGB", (20, 20), "red")])
    assert np.linalg.norm(vector) == pytest.approx(1.0, abs=1e-5)
    with mlflow_client(settings) as client:
        tags = client.get_model_version("tiny-clip", recorded.encoder.number).tags
        assert tags["mmfs.base"] == "models:/tiny-clip/1"
        assert tags["mmfs.release"] == "r1"
        curve = client.get_metric_history(recorded.run_id, "curve/NDCG at 10")
        assert [point.step for point in curve] == [int(entry["step"]) for entry in found.progress.curve]
        assert len(client.get_metric_history(recorded.run_id, "curve/training loss")) == len(curve) - 1
        names = {file.path for file in client.list_artifacts(recorded.run_id)}
        assert {"manifest.json", "curve.json", "losses.svg", "next_purchase.svg"} <= names
        folder = client.download_artifacts(recorded.run_id, "manifest.json")
    said = json.loads(Path(folder).read_text(encoding="utf-8"))
    assert said["counts"]["pairs, title"] == 32
    assert said["tables"]["events"] == 0


def test_nothing_of_it_is_left_but_the_encoder(result: Result) -> None:
    settings, found, _, stages = result
    assert found.folder is not None
    assert [path.name for path in (Path(settings.home) / "encoders").iterdir()] == [found.folder.name]
    assert stages[-1] == "registering"


def test_too_little_is_refused(tmp_path: Path, spark: SparkSession) -> None:
    settings = striped_shop(tmp_path)
    with pytest.raises(EncoderUnusableError, match="takes text alone"):
        publish_finetuned(settings, "bundled:e5-small", OPTIONS, None, Watch())
    with pytest.raises(HomeEmptyError):
        publish_finetuned(Settings(home=str(tmp_path / "new")), None, OPTIONS, None, Watch())
    refusing = settings.model_copy(update={"consent_default": Settings().consent_default})
    with pytest.raises(TooLittleToLearnError, match="allows personalisation"):
        publish_finetuned(refusing, None, OPTIONS, None, Watch())
