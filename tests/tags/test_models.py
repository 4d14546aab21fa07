"""Tags from models: what they look at, how sure they are and why; by whom they were learned."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from rich.console import Console

from pipelines.consumers.registered import register_consumer
from pipelines.consumers.tree_table import TreeTable
from pipelines.consumers.trees import Growth, Trees
from pipelines.errors import TagCatalogueError
from pipelines.releases.lineage import Lineage
from pipelines.releases.mlflow_client import experiment_id, mlflow_client
from pipelines.releases.mlflow_runs import begin_run
from pipelines.settings import Settings
from pipelines.tags.confidence import Curve
from pipelines.tags.definition import Definition, named_definition, write_definition
from pipelines.tags.explain import Explanation, Reason
from pipelines.tags.preferences import DAY
from pipelines.tags.render import render_explanation
from pipelines.tags.tagging import Tagger
from tests.tags.test_catalogue import TAG, catalogue
from tests.tags.test_tagging import ACTS

FEATURES = ("views_30d", "last_event_at", "spend_90d")
LEAVES: dict[str, object] = {"id": "risk.leaves", "model": "models:/churn/7"}
NOW = 200 * DAY
LINEAGE = Lineage(("risk",), "r1", "sha256:0", ("user_activity_personalisation",), ())


@pytest.fixture(scope="module")
def trees() -> TreeTable:
    """Who views little and was not seen for long leaves; what is spent does not matter."""
    random = np.random.default_rng(7)
    rows = np.stack([random.integers(0, 40, 3000), random.integers(0, 60, 3000), random.random(3000) * 100], axis=1)
    rows = rows.astype(np.float32)
    rows[random.random(3000) < 0.1, 1] = np.nan
    leaves = np.nan_to_num(rows[:, 1], nan=60) / 20 - rows[:, 0] / 10 + random.normal(size=3000) > 0
    made = Trees(Growth(trees=40, learning_rate=0.2, leaves=6, smallest_leaf=20)).fit(rows, leaves).table(FEATURES)
    return made.calibrated(Curve(0.0, 0.9, positives=700, judged=2000))


@pytest.fixture(scope="module")
def definition(trees: TreeTable) -> Definition:
    return Definition(catalogue(LEAVES), {}, {"risk.leaves": trees})


def tagged(definition: Definition, *users: tuple[float | None, float | None]) -> list[dict[str, list]]:
    """Rows of users by their views and when they were last seen (days ago)."""
    asked = pa.table({
        "user_id": [f"u{number}" for number in range(len(users))], "purpose": ["personalisation"] * len(users),
        "at": [NOW] * len(users), "known_at": [NOW] * len(users),
        "user_activity.views_30d": pa.array([views for views, _ in users], pa.float64()),
        "user_activity.last_event_at": pa.array(
            [None if ago is None else float(NOW - ago * DAY) for _, ago in users], pa.float64()
        ),
        "user_value.spend_90d": pa.array([50.0] * len(users), pa.float64()),
    })  # fmt: skip
    tagger = Tagger(definition, (), np.array([NOW]), np.zeros((1, 0)))
    found: list[dict[str, list]] = pa.concat_tables(tagger.tagged(asked, ACTS.empty_table())).to_pylist()
    return found


def test_a_model_tags_whom_its_probability_says_with_the_features_that_carry_it(definition: Definition) -> None:
    leaver, unseen, regular = tagged(definition, (2, 50), (3, None), (35, 1))
    assert leaver["tags"] == unseen["tags"] == ["risk.leaves"]
    assert regular["tags"] == []
    rows = np.array([[2, 50, 50]], dtype=np.float32)
    probability = 1 / (1 + np.exp(-definition.models["risk.leaves"].scores(rows)[0]))
    assert leaver["confidences"] == [pytest.approx(probability, abs=0.006)]
    why = json.loads(leaver["evidence"][0])
    assert why["model"] == "models:/churn/7"
    assert {sign["feature"] for sign in why["for"]} == {"user_activity.views_30d", "user_activity.last_event_at"}
    signs = {sign["feature"]: sign for sign in why["for"]}
    assert signs["user_activity.views_30d"]["value"] == 2.0
    assert signs["user_activity.last_event_at"]["value"] == "1970-05-31"
    assert all(sign["odds"] > 1 for sign in why["for"])
    assert next(s for s in json.loads(unseen["evidence"][0])["for"] if s["feature"].endswith("_at"))["value"] is None


def test_a_model_is_asked_about_those_it_is_for(definition: Definition) -> None:
    among = [{"feature": "user_activity.last_event_at", "at_most": 45}]
    recent = Definition(catalogue(LEAVES | {"among": among}), {}, definition.models)
    assert [row["tags"] for row in tagged(recent, (2, 44), (2, 46), (2, None))] == [["risk.leaves"], [], []]
    assert Definition(recent.catalogue, {}).features_of("user_activity") == ["last_event_at"]
    assert Definition.from_json(recent.to_json(), "memory").id == recent.id


def test_signs_multiply_to_the_odds(definition: Definition) -> None:
    [found] = tagged(definition, (12, 40))
    why, confidence = json.loads(found["evidence"][0]), found["confidences"][0]
    odds = why["usual"] / (1 - why["usual"]) * np.prod([s["odds"] for s in why["for"] + why["against"]])
    assert odds / (1 + odds) == pytest.approx(confidence, abs=0.05)


def test_the_definition_keeps_its_models(tmp_path: Path, definition: Definition) -> None:
    settings = Settings(home=str(tmp_path / "home"))
    again = Definition.from_json(definition.to_json(), "memory")
    assert again.id == definition.id != Definition(definition.catalogue, {}).id
    assert tagged(again, (2, 50)) == tagged(definition, (2, 50))
    assert again.features_of("user_activity") == ["last_event_at", "views_30d"]
    write_definition(settings, definition)
    assert named_definition(settings, definition.id).models.keys() == {"risk.leaves"}


def test_people_read_why_in_both_languages(definition: Definition) -> None:
    [row] = tagged(definition, (2, 50))
    tag = definition.catalogue.tags[0]
    reason = Reason(tag.id, None, tag, {}, 0.9, 700, json.loads(row["evidence"][0]))
    found = Explanation("u0", "personalisation", "r1", definition.id, None, (reason,))
    said = {}
    for language in ("en", "zh"):
        text = io.StringIO()
        Console(file=text, width=140).print(render_explanation(found, language))
        said[language] = text.getvalue()
    assert "for: user_activity.views_30d = 2.0 (odds ×" in said["en"]
    assert "models:/churn/7" in said["en"]
    assert "calibrated on 700 cases" in said["en"]
    assert "依据: user_activity.views_30d = 2.0 (几率 ×" in said["zh"]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory, with_mlflow: Callable[[Settings], Settings]) -> Settings:
    return with_mlflow(Settings(home=str(tmp_path_factory.mktemp("learned") / "home")))


def test_a_catalogue_takes_models_from_mlflow_once(tmp_path: Path, settings: Settings, trees: TreeTable) -> None:
    with mlflow_client(settings) as client:
        run = begin_run(client, experiment_id(client, "mmfs/consumers", settings), "churn")
    uri = register_consumer(settings, "churn", "Churn", trees, LINEAGE, run)
    other = TreeTable(trees.nodes, ("views_30d", "visual_7d", "spend_90d"), 0.0)
    with mlflow_client(settings) as client:
        client.set_registered_model_alias("churn", "serving", "1")
    register_consumer(settings, "ad-click", "Ad click", other, LINEAGE, run)

    def file(model: str) -> str:
        path = tmp_path / "tags.yaml"
        path.write_text(json.dumps({"version": 2, "tags": [TAG | {"id": "risk.leaves", "model": model}]}))
        return str(path)

    definition = named_definition(settings, file("models:/churn@serving"))
    assert definition.catalogue.tags[0].model == uri == "models:/churn/1"
    assert definition.curves["risk.leaves"].positives == 700
    assert tagged(definition, (2, 50))[0]["tags"] == ["risk.leaves"]
    with pytest.raises(TagCatalogueError, match=r"risk\.leaves: no registered model models:/churn/9.*mmfs consumer"):
        named_definition(settings, file("models:/churn/9"))
    with pytest.raises(TagCatalogueError, match="looks at visual_7d, which tags do not see"):
        named_definition(settings, file("models:/ad-click/1"))
    with pytest.raises(TagCatalogueError, match=r"tags\.0\.model"):
        named_definition(settings, file("churn"))
