"""A real Kafka broker of our own, where its jars can be had: one node, nothing kept."""

from __future__ import annotations

import os
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipelines.environment.jars import kafka_jars
from pipelines.environment.java import find_java

JARS = "MMFS_TEST_KAFKA"


def require_kafka(cache_dir: Path) -> Path:
    """The folder of a broker's jars; skips where there is none, or where the session cannot read Kafka."""
    folder = os.environ.get(JARS)
    if not folder:
        pytest.skip(f"no Kafka broker; set {JARS} to a folder with the jars of org.apache.kafka:kafka_2.13 and its own")
    if not all(jar.is_file() for jar in kafka_jars().paths(cache_dir)):
        pytest.skip(f"what reads Kafka was not fetched; run {kafka_jars().how}")
    return Path(folder)


class Broker:
    """A broker at `address`; `send` is acknowledged when it returns."""

    def __init__(self, java: Path, jars: Path, folder: Path) -> None:
        self._command = [str(java / "bin" / "java"), "-Xmx512m", "-cp", f"{jars}/*"]
        self._folder = folder
        self.address = f"127.0.0.1:{_free_port()}"
        self._properties = folder / "server.properties"
        controller = f"127.0.0.1:{_free_port()}"
        lines = {
            "process.roles": "broker,controller", "node.id": "1", "controller.quorum.voters": f"1@{controller}",
            "listeners": f"PLAINTEXT://{self.address},CONTROLLER://{controller}",
            "advertised.listeners": f"PLAINTEXT://{self.address}", "controller.listener.names": "CONTROLLER",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "log.dirs": str(folder / "log"), "offsets.topic.replication.factor": "1",
            "transaction.state.log.replication.factor": "1", "transaction.state.log.min.isr": "1",
        }  # fmt: skip
        self._properties.write_text("".join(f"{name}={value}\n" for name, value in lines.items()))

    @contextmanager
    def running(self) -> Iterator[None]:
        """Format its log and start it; ends it at the end."""
        cluster = uuid.uuid4().hex[:22]
        self._run("kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(self._properties))
        with (self._folder / "broker.log").open("w") as log:
            process = subprocess.Popen(
                [*self._command, "kafka.Kafka", str(self._properties)], stdout=log, stderr=subprocess.STDOUT
            )
            try:
                _wait_for(self.address)
                yield
            finally:
                process.terminate()
                process.wait()

    def send(self, topic: str, messages: Sequence[str]) -> None:
        """Messages, one a line, by Kafka's own console producer."""
        producer = "org.apache.kafka.tools.ConsoleProducer"
        options = ["--bootstrap-server", self.address, "--topic", topic]
        self._run(producer, *options, text="".join(f"{message}\n" for message in messages))

    def _run(self, program: str, *options: str, text: str = "") -> None:
        done = subprocess.run(
            [*self._command, program, *options], input=text, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr


def broker(cache_dir: Path, folder: Path) -> Broker:
    """A broker that is not started yet; skips where there is none."""
    jars = require_kafka(cache_dir)
    return Broker(find_java(cache_dir), jars, folder)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _wait_for(address: str) -> None:
    host, port = address.split(":")
    deadline = time.monotonic() + 120
    while True:
        try:
            socket.create_connection((host, int(port)), timeout=1).close()
            return
        except OSError:
            assert time.monotonic() < deadline, "Kafka did not start"
            time.sleep(0.1)
