"""The running server: figures, documents, reloading, several processes, TLS."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipelines.server.openapi import document
from pipelines.server.replies import FAULTS
from pipelines.settings import PROJECT_ROOT
from tests.hand_made_home import tiny_release
from tests.online.online_home import OnlineHome
from tests.server.conftest import KEY, Served

ASKED = {
    'mmfs_requests_total{code="ok",route="/get-online-features",status="200"}': 1,
    'mmfs_requests_total{code="unknown_service",route="/get-online-features",status="404"}': 1,
    'mmfs_ids_total{service="recommendation"}': 2,
}


def test_figures_for_prometheus(served: Served) -> None:
    def figures() -> dict[str, float]:
        told = served.call("GET", "/metrics")
        assert told.headers["content-type"].startswith("text/plain")
        lines = [line for line in told.body.decode().splitlines() if not line.startswith("#")]
        return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}

    def ask() -> dict[str, float]:
        served.ask_ann(entities={"user_id": ["ann", "nobody"]})
        served.ask_ann(feature_service="churn")
        return figures()

    # Servers of one process may share their counters, so only what is added is known.
    before, after = ask(), ask()
    assert {name: after[name] - before[name] for name in ASKED} == ASKED
    assert after['mmfs_features_total{service="recommendation",status="NO_CONSENT"}'] > 0


def test_a_new_default_release_is_served_at_once(served: Served, home: OnlineHome) -> None:
    home.release([tiny_release("r1", "1"), tiny_release("r2", "2")], "r2")
    assert served.ask_ann().json["metadata"]["release"] == "r2"
    assert served.ask_ann(release="r1").json["metadata"]["release"] == "r1"
    home.release([tiny_release("r1", "1")], "r1")
    assert served.ask_ann().json["metadata"]["release"] == "r1"
    assert served.ask_ann(release="r2").code == "release_not_live"


def test_the_document_names_what_there_is(served: Served) -> None:
    told = served.call("GET", "/openapi.json").json
    assert told["openapi"] == "3.1.0"
    for path, methods in told["paths"].items():
        [method] = methods
        assert served.call(method.upper(), path).status in {int(s) for s in methods[method]["responses"]}
    described = json.dumps(document("0"))
    assert all(code in described for _, _, code in FAULTS)
    assert set(told["components"]["schemas"]["Question"]["properties"]) >= {"entities", "features", "release"}


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    files = tmp_path / "cert.pem", tmp_path / "key.pem"
    request = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"]
    try:
        subprocess.run([*request, "-out", files[0], "-keyout", files[1]], check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("no openssl to make a certificate with")
    return files


def test_the_command_serves_with_workers_and_tls(home: OnlineHome, certificate: tuple[Path, Path]) -> None:
    port = free_port()
    options = ["--workers", "2", "--port", str(port), "--home", home.settings.home]
    tls = ["--tls-certificate", str(certificate[0]), "--tls-key", str(certificate[1])]
    environment = os.environ | {"MMFS_API_KEYS": f"tests:{KEY}", "PYTHONPATH": str(PROJECT_ROOT)}
    server = subprocess.Popen([sys.executable, "-m", "pipelines", "serve", *options, *tls], env=environment)
    trust = ssl.create_default_context(cafile=str(certificate[0]))
    trust.check_hostname = False

    def get(path: str) -> tuple[int, str]:
        connection = http.client.HTTPSConnection("localhost", port, context=trust, timeout=20)
        try:
            connection.request("GET", path, headers={"x-api-key": KEY})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def ready() -> bool:
        try:
            return get("/ready")[0] == 200
        except OSError:
            return False

    try:
        deadline = time.monotonic() + 240
        while not ready():
            assert time.monotonic() < deadline
            assert server.poll() is None
            time.sleep(0.5)
        metrics = get("/metrics")[1]
        assert 'route="/ready"' in metrics
        assert "feast_" not in metrics
        server.send_signal(signal.SIGTERM)
        assert server.wait(60) == 0
    finally:
        server.kill()
        server.wait()


def test_the_command_refuses_to_serve_anybody_unasked(home: OnlineHome) -> None:
    environment = {k: v for k, v in os.environ.items() if k != "MMFS_API_KEYS"} | {"PYTHONPATH": str(PROJECT_ROOT)}
    command = [sys.executable, "-m", "pipelines", "serve", "--home", home.settings.home]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 1
    assert "MMFS_API_KEYS" in done.stderr


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port
