"""The command `mmfs`. Each command loads only what it needs: reading features starts no Spark and no torch."""

from __future__ import annotations

import logging
import signal
import sys

from rich.markup import escape

# Each module registers its commands, in the order in which `--help` lists them.
# isort: off
from pipelines.cli import steps, streaming, reading, tags, improving  # noqa: F401
from pipelines.cli import releases, releases_moves, lineage, finetuning, shop  # noqa: F401

# isort: on
from pipelines.cli.app import app, messages
from pipelines.errors import PipelineError, StorageFullError


def main() -> None:
    """Run the command. A mistake of the caller's ends in one line on stderr and exit code 1, Ctrl-C in 130."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupt)
    try:
        app()
    except Exception as error:
        message = _one_line(error)
        if message is None:
            raise
        messages.print(f"[bold red]mmfs:[/bold red] {escape(message)}", soft_wrap=True, highlight=False)
        sys.exit(1)


def _interrupt(*_: object) -> None:
    # Py4J logs each call that is broken off, with its traceback.
    logging.disable(logging.ERROR)
    messages.print("interrupted", highlight=False)
    raise KeyboardInterrupt


def _one_line(error: Exception) -> str | None:
    """What to tell the caller, or None where the fault is ours and the traceback is what helps."""
    from encoders.errors import EncoderError
    from pipelines.sample_shop import SampleShopError

    if "No space left on device" in str(error):
        return str(
            StorageFullError("no space is left where the tables or the cache live; free some and repeat the command")
        )
    if isinstance(error, (PipelineError, EncoderError, SampleShopError)):
        return " ".join(str(error).split())
    return None
