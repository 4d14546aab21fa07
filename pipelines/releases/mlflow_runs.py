"""How runs of MLflow are begun and ended here: who ran what, and what it took of the machine."""

from __future__ import annotations

import getpass
import resource
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow import MlflowClient

# ru_maxrss counts bytes on macOS and KiB elsewhere.
_RSS_UNIT = 1 if sys.platform == "darwin" else 1024


def begin_run(client: MlflowClient, experiment: str, name: str, tags: Mapping[str, str] | None = None) -> str:
    """A new run under a name that people read; its id."""
    about = {"mlflow.source.type": "LOCAL", "mlflow.source.name": Path(sys.argv[0]).name, **_user()}
    run_id: str = client.create_run(experiment, tags={**about, **(tags or {})}, run_name=name).info.run_id
    return run_id


def end_run(client: MlflowClient, run_id: str) -> None:
    """Finished; with the CPU time and the greatest memory of this process and of those that it waited for so far."""
    from mlflow.entities import Metric

    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    used = {
        "system/cpu_seconds": sum(u.ru_utime + u.ru_stime for u in (own, children)),
        "system/peak_memory_megabytes": max(own.ru_maxrss, children.ru_maxrss) * _RSS_UNIT / 1e6,
    }
    now = int(time.time() * 1000)
    client.log_batch(run_id, metrics=[Metric(name, value, now, 0) for name, value in used.items()])
    client.set_terminated(run_id)


def _user() -> dict[str, str]:
    try:
        return {"mlflow.user": getpass.getuser()}
    except (KeyError, ImportError):
        # A container's user need not have a name.
        return {}
