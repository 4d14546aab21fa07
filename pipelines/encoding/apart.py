"""Encoding without Spark, in a process of its own: the allocator's settings must be there when a process starts, and
what a model leaves in memory goes with it. The rows are those of `worker.py`, and so is what becomes of them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.feather as feather

from encoders.errors import EncoderError
from encoders.load import WORKER_ENVIRONMENT, load
from encoders.spec import EncoderSpec
from pipelines.encoding.worker import ARROW_RESULT, encode_rows
from pipelines.errors import EncoderUnusableError

_CONTENTS = pa.schema(
    [
        ("content_hash", pa.string()),
        ("modality", pa.string()),
        ("paths", pa.list_(pa.string())),
        ("text", pa.string()),
        ("attempts", pa.int32()),
    ]
)


@dataclass(frozen=True)
class Pace:
    """How many contents of a modality were finished in how many seconds, one entry a list of them."""

    modality: str
    contents: tuple[int, ...]
    seconds: tuple[float, ...]


@dataclass(frozen=True)
class Encoded:
    """Rows as in `ARROW_RESULT`, and the pace by modality (reading and decoding included, loading not)."""

    rows: pa.Table
    paces: tuple[Pace, ...]


def encode_apart(spec: EncoderSpec, contents: Sequence[dict[str, Any]], *, threads: int, cache_dir: Path) -> Encoded:
    """Encode contents (content_hash, modality, paths or None, text or None).

    Raises EncoderUnusableError where the encoder cannot be loaded or is not what its spec says.
    """
    with tempfile.TemporaryDirectory(prefix="mmfs-encode-") as folder:
        given, made, paces = (Path(folder) / name for name in ("given.arrow", "made.arrow", "paces.json"))
        rows = [{"attempts": 0} | row for row in contents]
        feather.write_feather(pa.Table.from_pylist(rows, schema=_CONTENTS), given)
        run_apart(f"encoder {spec.key}", __name__, spec.to_json(), str(threads), str(cache_dir), folder)
        return Encoded(
            feather.read_table(made),
            tuple(Pace(name, tuple(n), tuple(s)) for name, n, s in json.loads(paces.read_text(encoding="utf-8"))),
        )


def run_apart(said_of: str, module: str, *arguments: str) -> None:
    """Run a module in a process of its own, with the environment of workers.

    Raises EncoderUnusableError with the last line that it said, about `said_of`, where it does not end well.
    """
    command = [sys.executable, "-m", module, *arguments]
    ended = subprocess.run(command, env=os.environ | WORKER_ENVIRONMENT, stderr=subprocess.PIPE, text=True)
    if ended.returncode:
        lines = ended.stderr.strip().splitlines() or [f"its process ended with code {ended.returncode}"]
        raise EncoderUnusableError(f"{said_of}: {lines[-1]}")


def _main(spec_json: str, threads: str, cache_dir: str, folder: str) -> None:
    """In the process: encode given.arrow into made.arrow, modality after modality."""
    rows = feather.read_table(Path(folder) / "given.arrow").to_pylist()
    spec = EncoderSpec.from_json(spec_json)
    try:
        encoder = load(spec, threads=int(threads), cache_dir=Path(cache_dir))
    except EncoderError as error:
        sys.exit(" ".join(str(error).split()))
    parts, paces = [ARROW_RESULT.empty_table()], []
    for modality in sorted({row["modality"] for row in rows}):
        contents, seconds = [], []
        started = time.perf_counter()
        for items in encode_rows((row for row in rows if row["modality"] == modality), lambda: encoder):
            parts.append(pa.Table.from_pylist([item.result() for item in items], schema=ARROW_RESULT))
            ended = time.perf_counter()
            contents.append(len(items))
            seconds.append(ended - started)
            started = ended
        paces.append((modality, contents, seconds))
    feather.write_feather(pa.concat_tables(parts), Path(folder) / "made.arrow")
    (Path(folder) / "paces.json").write_text(json.dumps(paces), encoding="utf-8")


if __name__ == "__main__":
    _main(*sys.argv[1:])
