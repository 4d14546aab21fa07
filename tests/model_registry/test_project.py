"""Every entry point of the MLflow project is a command with the options that it names."""

from __future__ import annotations

import shlex
from typing import Any

import pytest
import typer
import yaml

from pipelines.cli.app import app
from pipelines.settings import PROJECT_ROOT

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
