"""The client over HTTP and the direct one: the same answers, the same faults."""

from __future__ import annotations

import asyncio
import http.server
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from pipelines.client import DirectClient, FeatureClient, Features
from pipelines.client.http import RetryBudget
from pipelines.errors import FeatureRequestError
from tests.online.online_home import ACTIVITY, AT, PICTURES, OnlineHome
from tests.server.conftest import KEY, Serve, Served

IDS = ["nobody", "ann", "bob", "ann"]
Ask = Callable[..., Features]


@pytest.fixture(params=["http", "direct"])
def ask(request: pytest.FixtureRequest, served: Served) -> Ask:
    if request.param == "direct":
        return DirectClient(served.settings).features
    return FeatureClient(f"http://127.0.0.1:{served.port}", KEY, timeout_seconds=20).features


def test_both_answer_numpy_arrow_and_rows(ask: Ask) -> None:
    found = ask(IDS, "recommendation")
    assert (list(found.ids), found.release, found.service) == (IDS, "r1", "recommendation")
    pictures = found.views[PICTURES]
    np.testing.assert_allclose(np.asarray(pictures.column("mean_7d"))[1], [0.6, 0.8, 0, 0], rtol=1e-6)
    assert pictures.values("medoid_product_ids") == [None, ["p1", "牌"], None, ["p1", "牌"]]
    names, matrix = found.matrix()
    views = matrix[:, names.index(f"{ACTIVITY}__views_7d")]
    np.testing.assert_array_equal(views, [np.nan, 3, np.nan, 3])
    table = found.to_arrow()
    assert table[f"{ACTIVITY}__views_7d"].to_pylist() == [None, 3, None, 3]
    assert table[f"{ACTIVITY}__event_timestamp"].to_pylist() == [None, AT, None, AT]
    rows = found.rows()
    assert rows[2].statuses[f"{ACTIVITY}__views_7d"] == "NO_CONSENT"
    assert rows[1].values[f"{PICTURES}__weight_7d"] == 2.5
    assert rows[1].event_timestamps[ACTIVITY] == AT


def test_both_say_the_same_in_every_byte(served: Served) -> None:
    over_http = FeatureClient(f"http://127.0.0.1:{served.port}", KEY, timeout_seconds=20).features(
        IDS, "recommendation"
    )
    direct = DirectClient(served.settings).features(IDS, "recommendation")
    assert over_http.rows() == direct.rows()
    for name, view in direct.views.items():
        np.testing.assert_array_equal(over_http.views[name].statuses, view.statuses)


def test_both_rank_alike(served: Served) -> None:
    http_client = FeatureClient(f"http://127.0.0.1:{served.port}", KEY, timeout_seconds=20)
    both = [client.rank("ann", ["p2", "p1"]) for client in (http_client, DirectClient(served.settings))]
    names, matrix = both[0].matrix()
    assert names == both[1].matrix()[0]
    np.testing.assert_array_equal(matrix, both[1].matrix()[1])
    row = dict(zip(names, matrix[1], strict=True))
    assert (row[f"{ACTIVITY}__views_7d"], row["product_activity__price"]) == (3.0, 9.5)
    assert row["similarity__picture_7d_cosine"] == pytest.approx(0.6)
    assert np.isnan(matrix[0, names.index("product_activity__price")])
    for client in (http_client, DirectClient(served.settings)):
        with pytest.raises(FeatureRequestError) as refused:
            client.rank("ann", ["p1"], release="r9")
        assert refused.value.code == "release_not_live"


def test_both_refuse_alike(ask: Ask) -> None:
    for code, arguments in (
        ("unknown_service", {"service": "churn"}),
        ("unknown_feature", {"features": ["user_value:x"]}),
        ("release_not_live", {"service": "risk", "release": "r9"}),
    ):
        with pytest.raises(FeatureRequestError) as refused:
            ask(["ann"], **arguments)
        assert refused.value.code == code


def test_many_threads_and_asyncio_share_a_client(served: Served) -> None:
    client = FeatureClient(f"http://127.0.0.1:{served.port}", KEY, timeout_seconds=20, connections=4)
    with ThreadPoolExecutor(8) as threads:
        answers = [*threads.map(lambda user: client.features([user], "recommendation"), IDS * 5)]
    assert [a.ids[0] for a in answers] == IDS * 5

    async def together() -> list[Features]:
        return await asyncio.gather(*(client.features_async([user], "recommendation") for user in IDS))

    assert [a.ids[0] for a in asyncio.run(together())] == IDS
    client.close()


@pytest.fixture
def faltering() -> Iterator[tuple[str, list[int]]]:
    """A server that answers 503 as often as the list says, then 404; it counts questions in the second place."""
    left = [2, 0]

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            left[1] += 1
            status, code = (503, b"overloaded") if left[0] else (404, b"unknown_service")
            left[0] = max(left[0] - 1, 0)
            body = b'{"error": {"code": "%b", "message": "m"}}' % code
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}", left
    server.shutdown()
    thread.join()
    server.server_close()


def test_what_passes_is_asked_again_and_what_does_not_is_not(faltering: tuple[str, list[int]]) -> None:
    url, left = faltering
    client = FeatureClient(url, timeout_seconds=20)
    with pytest.raises(FeatureRequestError) as refused:
        client.features(["ann"], "churn")
    assert (refused.value.code, refused.value.status, left[1]) == ("unknown_service", 404, 3)
    left[:] = [9, 0]
    with pytest.raises(FeatureRequestError, match="overloaded"):
        client.features(["ann"], "churn")
    assert left[1] == 3
    client.close()


def test_a_server_in_trouble_is_not_asked_twice_by_everybody() -> None:
    budget = RetryBudget(share=0.5, saved=2)
    assert [budget.spend() for _ in range(3)] == [True, True, False]
    budget.earn()
    assert not budget.spend()
    budget.earn()
    assert budget.spend()


def test_nobody_there_is_said(home: OnlineHome, serve: Serve) -> None:
    client = FeatureClient("http://127.0.0.1:1", attempts=1)
    with pytest.raises(FeatureRequestError) as unreachable:
        client.features(["ann"], "risk")
    assert unreachable.value.code == "unreachable"
