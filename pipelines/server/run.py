"""Starting the server's processes."""

from __future__ import annotations

import os
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from pipelines.errors import SettingsError
from pipelines.governance.home import open_home
from pipelines.server.access import Callers
from pipelines.settings import Settings

# The first decides at its import how prometheus_client counts, and must be there before; the second is ours.
_SHARED = ("PROMETHEUS_MULTIPROC_DIR", "MMFS_SERVE__SHARED_METRICS")
_DRAIN_SECONDS = 10


@dataclass(frozen=True)
class Listening:
    """Where the server listens, with how many processes, and its certificate for HTTPS."""

    host: str
    port: int
    workers: int
    tls_certificate: Path | None
    tls_key: Path | None


def serve_forever(settings: Settings, listening: Listening) -> None:
    """Serve until the process is told to stop; requests that are being answered then are finished.

    Raises SettingsError, HomeError before anything listens.
    """
    if settings.authenticate:
        Callers.of(settings.api_keys)
    for file in (listening.tls_certificate, listening.tls_key):
        if file is not None and not file.is_file():
            raise SettingsError(f"no TLS file at {file}")
    open_home(settings, create=False)
    # Workers are processes of their own; the environment is how they get their settings.
    os.environ["MMFS_HOME"] = settings.home
    os.environ["MMFS_AUTHENTICATE"] = str(settings.authenticate).lower()
    with ExitStack() as stack:
        if listening.workers > 1:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="mmfs-metrics-"))
            os.environ |= dict.fromkeys(_SHARED, folder)
        uvicorn.run(
            "pipelines.server.app:application",
            factory=True,
            host=listening.host,
            port=listening.port,
            workers=listening.workers,
            ssl_certfile=listening.tls_certificate,
            ssl_keyfile=listening.tls_key,
            # Each request is in the metrics; a line each would take longer than answering it.
            access_log=False,
            timeout_graceful_shutdown=_DRAIN_SECONDS,
        )
