"""The encoders that come with the project, and their building at set-up.

`compact-clip`: the committed text tower and image head joined with the trunk from its own
package, as an open_clip directory. `e5-small`: see `encoders.sentence_directory`. `static-text`: the committed table
of token vectors with a tokenizer from e5's vocabulary. Nothing is downloaded; all are built from installed packages and
committed files.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from encoders.errors import EncoderChecksumError, EncoderFilesMissingError

_HERE = Path(__file__).resolve().parent
_CHECKSUMS = _HERE / "bundled_checksums.json"
"""Of the built weight files, by bundled name: part of each spec, so that it needs no files."""


@dataclass(frozen=True)
class Bundled:
    """One bundled encoder: `build` fills an empty directory whose weights are in `weights`."""

    name: str
    weights: str
    build: Callable[[Path], None]

    def directory(self, cache_dir: Path) -> Path:
        """Where set-up puts it; the checksum in the name keeps versions apart."""
        return cache_dir / "encoders" / f"{self.name}-{self.checksum.removeprefix('sha256:')[:12]}"

    @property
    def checksum(self) -> str:
        """ "sha256:..." of the weight file that set-up must arrive at."""
        known: dict[str, str] = json.loads(_CHECKSUMS.read_text(encoding="utf-8"))
        return known[self.name]


def default_cache_dir() -> Path:
    """`MMFS_CACHE`, else `.cache` of the project's checkout, else the user's cache folder."""
    configured = os.environ.get("MMFS_CACHE")
    if configured:
        return Path(configured)
    if (_HERE.parent / "pyproject.toml").exists():
        return _HERE.parent / ".cache"
    return Path.home() / ".cache" / "multimodal-feature-store"


def _build_compact_clip(target: Path) -> None:
    from encoders.compact.assemble import write

    write(target)


def _build_e5_small(target: Path) -> None:
    from encoders.e5_weights import package_file
    from encoders.sentence_directory import write

    write(package_file(), target)


def _build_static_text(target: Path) -> None:
    from encoders.static.assemble import write

    write(target)


BUNDLED = {
    "compact-clip": Bundled("compact-clip", "open_clip_model.safetensors", _build_compact_clip),
    "e5-small": Bundled("e5-small", "model.safetensors", _build_e5_small),
    "static-text": Bundled("static-text", "model.safetensors", _build_static_text),
}


def prepare(cache_dir: Path, report: Callable[[str], Any] = lambda line: None) -> None:
    """Build what is missing under `cache_dir`; a second call finds everything and does nothing.

    Safe beside other processes doing the same: each builds in a directory of its own and renames.
    `report` gets a line for each encoder built.

    Raises:
        EncoderFilesMissingError: a package that holds weights is not installed.
        EncoderChecksumError: the built weights are not the expected ones.
    """
    for bundled in BUNDLED.values():
        target = bundled.directory(cache_dir)
        if (target / bundled.weights).exists():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{bundled.name}-") as scratch:
            building = Path(scratch) / "built"
            building.mkdir()
            bundled.build(building)
            verify_checksum(building / bundled.weights, bundled.checksum)
            for path in building.rglob("*"):
                path.chmod(0o755 if path.is_dir() else 0o644)
            _move_into_place(building, target)
        report(f"built {bundled.name} in {target}")


def _move_into_place(building: Path, target: Path) -> None:
    try:
        building.rename(target)
    except OSError:
        if not target.is_dir():
            raise
        # Someone else was faster, or an earlier build was cut short: complete wins.
        weights_complete = any(target.glob("*.safetensors"))
        if not weights_complete:
            shutil.rmtree(target)
            building.rename(target)


def prepared_directory(name: str, cache_dir: Path) -> Path:
    """The built directory of a bundled encoder.

    Raises:
        EncoderFilesMissingError: set-up has not been run.
    """
    bundled = BUNDLED[name]
    directory = bundled.directory(cache_dir)
    if not (directory / bundled.weights).exists():
        raise EncoderFilesMissingError(f"bundled:{name} is not built in {cache_dir}: run `make setup`")
    return directory


def file_checksum(path: Path) -> str:
    """ "sha256:..." of a file's bytes."""
    with path.open("rb") as file:
        return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()


def verify_checksum(path: Path, expected: str) -> None:
    """Compare a file with the checksum it should have.

    Raises:
        EncoderChecksumError: they differ.
    """
    actual = file_checksum(path)
    if actual != expected:
        raise EncoderChecksumError(
            f"{path} has {actual[:19]}…, expected {expected[:19]}…: delete its folder and run `make setup`"
        )
