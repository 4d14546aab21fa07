"""Every entry point of the MLflow project is a command with the options that it names."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from pipelines.cli.app import app
from pipelines.releases.registry import register_release
from pipelines.settings import PROJECT_ROOT, Settings
from tests.hand_made_home import tiny_release
from tests.online.online_home import OnlineHome

PROJECT: dict[str, Any] = yaml.safe_load((PROJECT_ROOT / "mlflow" / "MLproject").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", PROJECT["entry_points"])
def test_an_entry_point_is_a_command(name: str) -> None:
    entry = PROJECT["entry_points"][name]
    values = {key: str(of.get("default", "1")) or "''" for key, of in entry["parameters"].items()}
    words = shlex.split(entry["command"].format(**values))
    assert words[:3] == ["python", "-m", "pipelines"]
    command: Any = typer.main.get_command(app)
    context = command.make_context("mmfs", words[3:])
    while hasattr(command, "commands"):
        command = command.commands[words[3]]
        words = words[1:]
        # Parses what is left, and runs nothing.
        context = command.make_context(words[2], words[3:], parent=context)
    assert set(context.params)


@pytest.mark.soak
def test_mlflow_runs_them(tmp_path: Path, home_with_mlflow: Callable[[Path], Settings]) -> None:
    settings = home_with_mlflow(tmp_path / "home")
    OnlineHome(settings).furnish()
    register_release(tiny_release("r1"), settings)
    said = {name: _run(name, home=settings.home) for name in ("list", "releases")}
    assert "tiny-clip/1" in said["list"]
    assert "recommendation_r1" in said["releases"]
    assert "models:/gone/1" in _run("check", fails=True, home=settings.home, model="models:/gone/1")


def _run(entry: str, *, fails: bool = False, **parameters: str) -> str:
    """What `mlflow run` of an entry point says, in the folder's own way: by its name, in this environment."""
    given = [word for name, value in parameters.items() for word in ("-P", f"{name}={value}")]
    command = [sys.executable, "-m", "mlflow", "run", "mlflow", "-e", entry, "--env-manager", "local", *given]
    # Of the project the entry points know the package alone; which `python` is whose is up to PATH.
    paths = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(PROJECT_ROOT)}
    tracking = {"MLFLOW_TRACKING_URI": f"sqlite:///{parameters['home']}/runs.db"}
    done = subprocess.run(
        command, cwd=PROJECT_ROOT, env=os.environ | paths | tracking, capture_output=True, text=True, timeout=600
    )
    assert (done.returncode != 0) is fails, done.stderr
    return done.stdout + done.stderr
