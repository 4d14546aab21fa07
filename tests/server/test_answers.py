"""What is answered: Feast's shape, the compact forms, the contract."""

from __future__ import annotations

import base64
import json
from typing import Any

import msgpack
import numpy as np
import pyarrow as pa
import pytest

from pipelines.server.renders import ARROW, COMPACT, MSGPACK
from tests.online.online_home import ACTIVITY, AT, PICTURES, OnlineHome
from tests.server.conftest import Served

BATCH = ["nobody", "ann", "bob", "ann", ""]


def column(answer: Any, name: str) -> dict[str, Any]:
    found: dict[str, Any] = answer["results"][answer["metadata"]["feature_names"].index(name)]
    return found


def test_feasts_shape_with_release_and_every_status(served: Served) -> None:
    told = served.ask_ann(entities={"user_id": BATCH})
    assert (told.status, told.headers["content-type"]) == (200, "application/json")
    answer = told.json
    assert answer["metadata"]["release"] == "r1"
    assert answer["results"][0]["values"] == BATCH
    views = column(answer, f"{ACTIVITY}__views_7d")
    assert views["values"] == [None, 3, None, 3, None]
    assert views["statuses"] == ["NO_CONSENT", "PRESENT", "NO_CONSENT", "PRESENT", "NO_CONSENT"]
    assert views["event_timestamps"][:2] == ["1970-01-01T00:00:00Z", "2026-03-01T12:30:00.250Z"]
    assert column(answer, f"{PICTURES}__mean_7d")["values"][1] == pytest.approx([0.6, 0.8, 0.0, 0.0])
    assert column(answer, f"{PICTURES}__mean_30d")["statuses"][1] == "NULL_VALUE"
    assert column(answer, f"{ACTIVITY}__last_event_at")["values"][1] == int(AT.timestamp())
    fused = [n for n in answer["metadata"]["feature_names"] if n.startswith("user_fused") and n.endswith("__vector")]
    assert column(answer, fused[0])["statuses"][1] == "NOT_FOUND"


def test_plain_feast_answers_alike(served: Served, home: OnlineHome) -> None:
    features = [f"{ACTIVITY}:views_7d", f"{PICTURES}:mean_7d", f"{PICTURES}:medoid_product_ids"]
    ours = served.ask(entities={"user_id": ["ann"]}, features=features).json
    theirs = home.feast.get_online_features(features, [{"user_id": "ann"}])
    names = list(theirs.proto.metadata.feature_names.val)
    # Feast gives no order to the features of a view.
    assert sorted(names) == sorted(ours["metadata"]["feature_names"])
    values = theirs.to_dict()
    for name in names:
        said, expected = column(ours, name)["values"][0], values[name][0]
        if name.endswith("mean_7d"):
            # Written in as few digits as float32 needs; as float32 they are the same to the bit.
            said, expected = np.float32(said).tobytes(), np.float32(expected).tobytes()
        assert said == expected


def test_floats_that_json_has_no_numbers_for_are_spelled_as_feast_spells_them(served: Served, home: OnlineHome) -> None:
    home.write(ACTIVITY, "ann", night_share_30d=float("nan"), last_event_at=AT)
    home.write(PICTURES, "ann", mean_7d=[float("inf"), 0.5, float("-inf"), float("nan")])
    features = [f"{ACTIVITY}:night_share_30d", f"{PICTURES}:mean_7d"]
    answer = served.ask(entities={"user_id": ["nobody", "ann"]}, features=features).json
    assert column(answer, "night_share_30d")["values"] == [None, "NaN"]
    assert column(answer, "mean_7d")["values"] == [None, ["Infinity", 0.5, "-Infinity", "NaN"]]


@pytest.mark.parametrize("media_type", [COMPACT, MSGPACK])
def test_compact_forms_say_the_same(served: Served, media_type: str) -> None:
    told = served.ask_ann(media_type, entities={"user_id": BATCH})
    assert told.headers["content-type"] == media_type
    answer = json.loads(told.body) if media_type == COMPACT else msgpack.unpackb(told.body)
    assert (answer["release"], answer["entity"], answer["ids"]) == ("r1", "user_id", BATCH)

    def array(found: dict[str, Any]) -> np.ndarray[Any, Any]:
        data = base64.b64decode(found["base64"]) if "base64" in found else found["data"]
        return np.frombuffer(data, found["dtype"]).reshape(found["shape"])

    pictures = next(v for v in answer["views"] if v["view"] == PICTURES)
    at = pictures["features"].index("mean_7d")
    vectors = array(pictures["vectors"]["mean_7d"])
    np.testing.assert_allclose(vectors[1], [0.6, 0.8, 0, 0], rtol=1e-6)
    assert np.isnan(vectors[0]).all()
    named = [answer["status_names"][s] for s in array(pictures["statuses"])[:, at]]
    assert named == ["NO_CONSENT", "PRESENT", "NO_CONSENT", "PRESENT", "NO_CONSENT"]
    assert array(pictures["event_timestamps"])[1] == int(AT.timestamp() * 1e6)
    assert pictures["others"]["medoid_product_ids"] == [None, ["p1", "牌"], None, ["p1", "牌"], None]
    assert array(pictures["floats"]["values"])[1, pictures["floats"]["names"].index("weight_7d")] == 2.5
    activity = next(v for v in answer["views"] if v["view"] == ACTIVITY)
    whole = array(activity["integers"]["values"])[:, activity["integers"]["names"].index("last_event_at")]
    assert whole.tolist() == [0, int(AT.timestamp() * 1e6), 0, int(AT.timestamp() * 1e6), 0]


def test_arrow_says_the_same(served: Served) -> None:
    with pa.ipc.open_stream(served.ask_ann(ARROW, entities={"user_id": BATCH}).body) as stream:
        table = stream.read_all()
    assert table.schema.metadata[b"release"] == b"r1"
    assert table["user_id"].to_pylist() == BATCH
    assert table[f"{ACTIVITY}__views_7d"].to_pylist() == [None, 3, None, 3, None]
    assert table[f"{ACTIVITY}__last_event_at"][1].as_py() == AT
    assert table[f"{PICTURES}__mean_7d"].type == pa.list_(pa.float32(), 4)
    assert table[f"{PICTURES}__event_timestamp"].to_pylist() == [None, AT, None, AT, None]
    assert set(table[f"{PICTURES}__statuses"][0].as_py()) == {5}


def test_products_and_devices(served: Served, home: OnlineHome) -> None:
    products = served.ask(
        entities={"product_id": ["p2", "p1"]}, feature_service="product_ranking", full_feature_names=True
    )
    assert column(products.json, "product_activity__price")["values"] == [None, 9.5]
    home.write("user_consent", "device:d1", purposes=["personalisation"])
    device = served.ask_ann(entities={"device_id": ["d1"]})
    assert column(device.json, f"{ACTIVITY}__views_7d")["values"] == [2]


def test_a_pinned_release_is_answered_or_refused(served: Served) -> None:
    assert served.ask_ann(release="r1").json["metadata"]["release"] == "r1"
    gone = served.ask_ann(release="r9")
    assert (gone.status, gone.code) == (410, "release_not_live")


@pytest.mark.parametrize("media_type", ["application/json", COMPACT, MSGPACK])
def test_products_are_ranked_in_every_form(served: Served, media_type: str) -> None:
    question = json.dumps({"user_id": "ann", "product_ids": ["p2", "p1"]}).encode()
    told = served.call("POST", "/get-ranking-features", question, {"accept": media_type})
    assert (told.status, told.headers["content-type"]) == (200, media_type)
    answer = msgpack.unpackb(told.body) if media_type == MSGPACK else told.json
    assert (answer["release"], answer["user_id"], answer["product_ids"]) == ("r1", "ann", ["p2", "p1"])

    def array(found: Any) -> np.ndarray[Any, Any]:
        if isinstance(found, list):
            return np.array(found, float)
        data = base64.b64decode(found["base64"]) if "base64" in found else found["data"]
        return np.frombuffer(data, found["dtype"]).reshape(found["shape"])

    similar = answer["similarities"]
    cosines = array(similar["values"])[:, similar["names"].index("picture_7d_cosine")]
    assert cosines.tolist() == pytest.approx([float("nan"), 0.6], nan_ok=True)
    [numbers] = answer["products"]
    price = numbers["features"].index("price")
    assert array(numbers["values"])[1, price] == 9.5
    assert [answer["status_names"][int(s)] for s in array(numbers["statuses"])[:, price]] == ["NOT_FOUND", "PRESENT"]
    assert array(numbers["event_timestamps"]).tolist() == [0, int(AT.timestamp() * 1e6)]
    activity = next(view for view in answer["user"] if view["view"] == ACTIVITY)
    assert array(activity["values"])[0, activity["features"].index("views_7d")] == 3


def test_a_ranking_question_is_checked(served: Served) -> None:
    for body, status, code in (
        (b"{", 400, "invalid_json"),
        (b'{"product_ids": ["p1"]}', 422, "invalid_request"),
        (b'{"user_id": "a", "device_id": "d", "product_ids": ["p1"]}', 422, "invalid_request"),
        (b'{"user_id": "ann", "product_ids": []}', 422, "invalid_request"),
        (b'{"user_id": "ann", "product_ids": [1]}', 422, "invalid_request"),
        (json.dumps({"user_id": "ann", "product_ids": ["p"] * 101}).encode(), 413, "batch_too_large"),
        (b'{"user_id": "ann", "product_ids": ["p1"], "feature_service": "risk"}', 404, "unknown_service"),
        (b'{"user_id": "ann", "product_ids": ["p1"], "release": "r7"}', 410, "release_not_live"),
    ):
        told = served.call("POST", "/get-ranking-features", body)
        assert (told.status, told.code) == (status, code), body
    arrow = served.call("POST", "/get-ranking-features", b"{}", {"accept": ARROW})
    assert (arrow.status, arrow.code) == (406, "not_acceptable")
