"""What the commands share: the application, its consoles and their common options."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console

from pipelines.errors import SettingsError

app = typer.Typer(
    help="A multimodal feature store for user profiles.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    add_completion=False,
)
console = Console()
messages = Console(stderr=True)

Home = Annotated[
    str | None,
    typer.Option("--home", help="Folder or URI of all state. Default: MMFS_HOME, else ./mmfs-home."),
]
AsOf = Annotated[str | None, typer.Option("--as-of", help="The run's time, ISO 8601 with offset. Default: now.")]
Drop = Annotated[str, typer.Argument(help="Folder or URI with the source tables (docs/sources.md).")]
History = Annotated[
    bool,
    typer.Option("--history", help="The drop is an import of history: its rows count as known at their own time."),
]
DEFAULT_SERVICE = "recommendation"
Service = Annotated[
    str, typer.Option("--service", "-s", help="Feature service; a bare name means the default release.")
]


def instant(text: str | None, option: str = "--as-of") -> datetime | None:
    """An option's time in UTC, None where it is not given. Raises SettingsError."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise SettingsError(f"{option} {text!r} is not an ISO 8601 instant such as 2026-06-30T00:00:00Z") from error
    if moment.tzinfo is None:
        raise SettingsError(f"{option} {text!r} has no offset; write for example {moment.isoformat()}Z for UTC")
    return moment.astimezone(UTC)
