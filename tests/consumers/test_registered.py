"""A consumer's model: registered with its lineage, stored without pickle, checked against the live releases."""

from __future__ import annotations

import dataclasses
import json
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipelines import cli
from pipelines.consumers.publish import Learned
from pipelines.consumers.tree_table import TreeTable
from pipelines.consumers.trees import Growth, Trees
from pipelines.errors import ModelLineageError, ReleaseMismatchError
from pipelines.releases.check import check_model, matching_release
from pipelines.releases.inventory import listed_releases
from pipelines.releases.lineage import Lineage
from pipelines.releases.mlflow_client import mlflow_client
from pipelines.tags.confidence import Curve
from pipelines.training.manifest import Manifest
from tests.consumers.taste_shop import TasteShop
from tests.evaluation.planted import RELEASE


def test_the_table_of_trees_scores_as_the_library(tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    features = random.normal(size=(400, 4)).astype(np.float32)
    features[random.random(features.shape) < 0.2] = np.nan
    features[:, 2] = np.nan
    labels = np.nan_to_num(features[:, 0]) + np.nan_to_num(features[:, 1]) > 0
    trees = Trees(Growth(trees=20, learning_rate=0.2, leaves=6, smallest_leaf=5)).fit(features, labels)
    trees.table(["a", "b", "empty", "d"]).write(tmp_path / "trees.parquet")
    again = TreeTable.read(tmp_path / "trees.parquet")
    tried = random.normal(size=(300, 4)).astype(np.float32)
    tried[random.random(tried.shape) < 0.3] = np.nan
    np.testing.assert_allclose(again.scores(tried), trees.scores(tried), rtol=1e-9)
    assert TreeTable.from_json(json.loads(json.dumps(again.to_json()))).nodes.equals(again.nodes)
    # What the features add to what is usual is the score, and what is usual is what the rows learned from get.
    usual, added = again.contributions(tried)
    np.testing.assert_allclose(usual + added.sum(axis=1), again.scores(tried), rtol=1e-9)
    assert usual == pytest.approx(again.scores(features).mean())
    assert np.abs(added[:, 2]).max() == 0 < np.abs(added[:, 3]).max() < np.abs(added[:, 0]).max()
    curve = Curve(intercept=-0.3, score=0.5, positives=7, judged=20)
    surer = again.calibrated(curve)
    np.testing.assert_allclose(
        1 / (1 + np.exp(-surer.scores(tried))), curve.confidence(again.scores(tried), np.zeros(1))
    )
    assert (surer.positives, surer.judged) == (7, 20)
    assert "empty" not in again.nodes.column("feature").to_pylist()


def test_a_model_names_services_release_and_encoders(shop: TasteShop, learned: Learned) -> None:
    checked = check_model(shop.settings, learned.model)
    assert (checked.uri, checked.release) == (learned.model, RELEASE.name)
    assert checked.services == (f"recommendation_{RELEASE.name}", f"product_ranking_{RELEASE.name}")
    assert all(uri.startswith("models:/") for uri in checked.lineage.encoders)
    assert len(checked.lineage.encoders) == 2
    [listed] = listed_releases(shop.settings)
    assert learned.model in {consumer.uri for consumer in listed.usage.consumers}
    with mlflow_client(shop.settings) as client:
        client.set_registered_model_alias("ad-click", "serving", learned.model.rpartition("/")[2])
    assert check_model(shop.settings, "models:/ad-click@serving") == checked


def test_a_stored_model_predicts_and_carries_its_lineage(shop: TasteShop, learned: Learned) -> None:
    with warnings.catch_warnings():
        # MLflow's loader and its dependencies, not ours.
        warnings.simplefilter("ignore")
        import mlflow

        with mlflow_client(shop.settings) as client:
            [_, name, number] = learned.model.replace("models:/", "models://").rsplit("/", 2)
            folder = Path(str(client.get_model_version(name, number).source).removeprefix("file://"))
        model = mlflow.pyfunc.load_model(str(folder))
        names = model.metadata.get_input_schema().input_names()
        rows = pd.DataFrame(np.zeros((2, len(names))), columns=names)
        near, far = model.predict(rows.assign(visual_7d=[1.0, -1.0]))
        unknown = model.predict(rows.iloc[:, :1])
    assert 0 < far < 0.5 < near < 1
    assert unknown.shape == (2,)
    assert len(set(names)) == len(names)
    assert Lineage.of_tags(model.metadata.metadata) == check_model(shop.settings, learned.model).lineage
    assert not [file for file in folder.rglob("*") if file.suffix in {".pkl", ".joblib"}]


def test_features_of_another_release_are_refused(shop: TasteShop, learned: Learned) -> None:
    lineage = check_model(shop.settings, learned.model).lineage
    tuned = dataclasses.replace(RELEASE, clip=dataclasses.replace(RELEASE.clip, checksum="sha256:1"))
    elsewhere = dataclasses.replace(RELEASE, name="r7")
    with pytest.raises(ReleaseMismatchError, match="here r1 is made of other parts"):
        matching_release(lineage, [tuned], "models:/churn/1")
    with pytest.raises(ReleaseMismatchError, match="which is not live here; live: r2"):
        matching_release(lineage, [dataclasses.replace(tuned, name="r2")], "models:/churn/1")
    # What it is called elsewhere does not matter, what it is made of does.
    assert matching_release(lineage, [tuned, elsewhere], "models:/churn/1") == "r7"
    with pytest.raises(ModelLineageError, match="no registered model models:/ad-click/99"):
        check_model(shop.settings, "models:/ad-click/99")
    with pytest.raises(ModelLineageError, match=r"lacks mmfs\.service"):
        check_model(shop.settings, f"models:/{RELEASE.clip.name}/1")
    with pytest.raises(ModelLineageError, match="not 'churn'"):
        check_model(shop.settings, "churn")


def test_a_model_learns_from_one_release(shop: TasteShop, learned: Learned) -> None:
    with mlflow_client(shop.settings) as client:
        text = Path(client.download_artifacts(learned.run_id, "ad_users.manifest.json")).read_text(encoding="utf-8")
    manifest = Manifest.model_validate_json(text)
    assert manifest.release_parts == RELEASE.parts_checksum
    assert manifest.encoders["clip_models"] == f"models:/{RELEASE.clip.name}/1"
    other = manifest.model_copy(update={"release": "r2"})
    with pytest.raises(ModelLineageError, match="of one release; these are of: r1, r2"):
        Lineage.of(manifest, other)


def test_the_command_says_what_may_serve_a_model(
    shop: TasteShop, learned: Learned, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for more, code in ((learned.model, 0), ("models:/ad-click/99", 1)):
        monkeypatch.setattr("sys.argv", ["mmfs", "releases", "check", more, "--home", shop.settings.home, "--json"])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert ended.value.code == code
        said = capsys.readouterr()
        if code:
            assert "no registered model" in said.err
        else:
            assert json.loads(said.out)["services"][0] == f"recommendation_{RELEASE.name}"
