"""A client in the service of a model takes features of the release that it learned from, and of no other."""

from __future__ import annotations

import dataclasses

import pytest

from pipelines.client import DirectClient, FeatureClient, ModelFeatures
from pipelines.client.for_model import Asking
from pipelines.errors import FeatureRequestError, ModelLineageError, ReleaseMismatchError
from pipelines.releases.lineage import Lineage
from tests.online.online_home import ACTIVITY, PICTURES
from tests.server.conftest import KEY, Served

RISK = Lineage(("risk",), "r1", "sha256:0", (), ())


@pytest.fixture(params=["http", "direct"])
def client(request: pytest.FixtureRequest, served: Served) -> Asking:
    if request.param == "direct":
        return DirectClient(served.settings)
    return FeatureClient(f"http://127.0.0.1:{served.port}", KEY, timeout_seconds=20)


def test_a_model_is_given_features_of_its_release(client: Asking) -> None:
    found = ModelFeatures(client, RISK.tags()).features(["ann"])
    assert (found.service, found.release) == ("risk", "r1")
    assert found.views[ACTIVITY].values("views_7d") == [3]
    # What is called r1 here was called r9 where the model learned.
    renamed = ModelFeatures(client, dataclasses.replace(RISK, release="r9").tags(), release="r1")
    assert renamed.features(["ann"]).release == "r1"


def test_another_release_is_refused(client: Asking) -> None:
    with pytest.raises(ReleaseMismatchError, match="learned from release r9, which is not served"):
        ModelFeatures(client, dataclasses.replace(RISK, release="r9").tags()).features(["ann"])
    tuned = ACTIVITY, PICTURES.replace("clip_1", "clip_2")
    lineage = Lineage(("recommendation",), "r1", "", tuned, ())
    with pytest.raises(ReleaseMismatchError, match="it does not know"):
        ModelFeatures(client, lineage.tags()).features(["ann"])


def test_a_model_of_several_services_says_which(client: Asking) -> None:
    model = ModelFeatures(client, dataclasses.replace(RISK, services=("risk", "recommendation")).tags())
    assert model.features(["ann"], "recommendation").service == "recommendation"
    for wrong in (None, "marketing"):
        with pytest.raises(ReleaseMismatchError, match="learned from risk, recommendation"):
            model.features(["ann"], wrong)


def test_faults_of_the_question_stay_what_they_are(client: Asking) -> None:
    with pytest.raises(FeatureRequestError) as raised:
        ModelFeatures(client, dataclasses.replace(RISK, services=("fraud",)).tags()).features(["ann"])
    assert raised.value.code == "unknown_service"


@pytest.mark.parametrize("metadata", [None, {}, {"mmfs.service": "risk"}])
def test_a_model_that_says_nothing_is_refused(metadata: dict[str, str] | None, served: Served) -> None:
    with pytest.raises(ModelLineageError, match=r"it lacks .*mmfs\.release"):
        ModelFeatures(DirectClient(served.settings), metadata)


def test_lineage_survives_tags() -> None:
    full = Lineage(("risk", "ranking"), "r2", "sha256:1", ("a", "b"), ("models:/x/1",))
    assert Lineage.of_tags(full.tags()) == full
    assert full.tags()["feast.feature_service"] == "risk_r2"
