"""`python -m encoders prepare --cache DIR`: build the bundled encoders at set-up."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from encoders.bundled import default_cache_dir, prepare
from encoders.errors import EncoderError


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m encoders", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("prepare", help="build the bundled encoders; does nothing when up to date")
    command.add_argument("--cache", type=Path, default=None, help="where to (default: $MMFS_CACHE or .cache)")
    chosen = parser.parse_args(arguments)
    try:
        prepare(chosen.cache or default_cache_dir(), report=print)
    except EncoderError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
