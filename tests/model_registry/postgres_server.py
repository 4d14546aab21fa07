"""A real Postgres of our own, on one port of this machine, by its own programs; it refuses to run as root."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import psycopg
import pytest

_USER, _PASSWORD = "mlflow", "a secret"
_QUICK = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "shared_buffers=16MB")


class PostgresServer:
    """Starts with an empty database. Skips the test where the machine has no Postgres."""

    def __init__(self) -> None:
        self._programs = _programs()
        # Nobody but its owner may read its files, and its owner may not be root: not below pytest's own folder.
        self._folder = Path(tempfile.mkdtemp(prefix="mmfs-postgres-"))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """SQLAlchemy's URL."""
        return f"postgresql+psycopg://{_USER}:{_PASSWORD.replace(' ', '%20')}@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        secret, data = self._folder / "password", self._folder / "data"
        secret.write_text(_PASSWORD)
        if os.geteuid() == 0:
            for path in (self._folder, secret):
                shutil.chown(path, "nobody")
        options = [
            "-U",
            _USER,
            "--pwfile",
            str(secret),
            "-A",
            "scram-sha-256",
            "--no-sync",
            "-E",
            "UTF8",
            "--locale",
            "C",
        ]
        self._run([str(self._programs / "initdb"), "-D", str(data), *options]).wait()
        settings = [part for option in _QUICK for part in ("-c", option)]
        places = ["-h", "127.0.0.1", "-p", str(self.port), "-k", str(self._folder)]
        self._process = self._run([str(self._programs / "postgres"), "-D", str(data), *places, *settings])
        deadline = time.monotonic() + 120
        while True:
            try:
                psycopg.connect(self.url.replace("+psycopg", ""), connect_timeout=5).close()
                return
            except psycopg.OperationalError:
                assert time.monotonic() < deadline, "Postgres did not start"
                time.sleep(0.05)

    def stop(self) -> None:
        """At once, as a machine that fails would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _run(self, command: list[str]) -> subprocess.Popen[bytes]:
        user = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
        return subprocess.Popen(
            command,
            cwd=self._folder,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
            user=user.pw_uid if user else None,
            group=user.pw_gid if user else None,
            extra_groups=[] if user else None,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )


def _programs() -> Path:
    """The folder of initdb and postgres: on the path, or where Debian puts them."""
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not folders or not (folders[-1] / "postgres").is_file():
        pytest.skip("no Postgres on this machine: install the package postgresql")
    return folders[-1]
