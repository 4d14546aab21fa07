"""Run Feast's universal offline-store suite on our store: `make feast-suite FEAST_SRC=<checkout of Feast>`.

The suite is in Feast's repository alone, not in its packages. Its `tests` are linked beside nothing else, because a
checkout's own `feast` package has no compiled protos and must not hide the installed one.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from feast.constants import FULL_REPO_CONFIGS_MODULE_ENV_NAME

from pipelines.settings import PROJECT_ROOT

_HERE = Path(__file__).resolve().parent
_SUITES = ("tests/universal/offline_store", "tests/integration/offline_store")
# Tests on our store alone: the others are of Feast's own stores, whatever is configured.
_OURS = "LocalDelta or SparkDelta"


def main() -> int:
    """Exit code of pytest; 2 where the checkout is not one that fits."""
    parser = argparse.ArgumentParser(description="Run Feast's universal offline-store suite on the Delta store.")
    parser.add_argument("checkout", help="folder of a checkout of Feast, at the tag of the installed version")
    given, more = parser.parse_known_args()
    if not given.checkout:
        parser.error("set FEAST_SRC to a checkout of Feast: make feast-suite FEAST_SRC=<folder>")
    checkout = Path(given.checkout).resolve()
    if fault := unfit(checkout):
        parser.error(fault)
    with tempfile.TemporaryDirectory(prefix="feast-suite-") as folder:
        (Path(folder) / "tests").symlink_to(checkout / "sdk/python/tests")
        suites = [suite for suite in _SUITES if (Path(folder) / suite).is_dir()]
        options = ["-c", str(_HERE / "pytest.ini"), "--rootdir", folder, "-p", "no:cacheprovider", "-q", "-ra"]
        command = [sys.executable, "-m", "pytest", *options, "--integration", "-k", _OURS, *suites, *more]
        return subprocess.run(command, cwd=folder, env=_environment(folder), check=False).returncode


def unfit(checkout: Path) -> str | None:
    """Why the suite of this checkout cannot be run; None if it can."""
    changelog, installed = checkout / "CHANGELOG.md", version("feast")
    if not changelog.is_file() or not (checkout / "sdk/python/tests/universal").is_dir():
        return f"{checkout} is no checkout of Feast: expected CHANGELOG.md and sdk/python/tests/universal"
    released = re.search(r"^#+ \[(\d+\.\d+\.\d+)\]", changelog.read_text(encoding="utf-8"), re.MULTILINE)
    if released is None or released[1] != installed:
        found = released[1] if released else "no release"
        return f"{checkout} is Feast {found}, installed is {installed}; check out the tag v{installed}"
    return None


def _environment(folder: str) -> dict[str, str]:
    # Feast's tests first: they and ours are packages of one name.
    given = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    paths = [folder, str(_HERE), *given, str(PROJECT_ROOT)]
    chosen = {FULL_REPO_CONFIGS_MODULE_ENV_NAME: "delta_stores", "FEAST_IS_LOCAL_TEST": "True", "IS_TEST": "True"}
    return os.environ | chosen | {"PYTHONPATH": os.pathsep.join(paths)}


if __name__ == "__main__":
    sys.exit(main())
