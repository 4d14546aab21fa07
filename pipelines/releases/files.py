"""The small files of a home's releases, below `releases/`: replaced whole, so a reader sees the old text or the new."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import fsspec

from pipelines.errors import SettingsError
from pipelines.settings import Settings

_FOLDER = "releases"


def read_file(settings: Settings, file: str) -> str | None:
    """The text of a file, None where there is none."""
    try:
        if settings.local_home:
            return (settings.local_home / _FOLDER / file).read_text(encoding="utf-8")
        with _remote(settings, file, "rb") as stream:
            return bytes(stream.read()).decode()
    except FileNotFoundError:
        return None


def write_file(settings: Settings, file: str, text: str) -> None:
    """Replace a file in one step."""
    if settings.local_home:
        _replace(settings.local_home / _FOLDER / file, text.encode())
        return
    # An object store shows an object only when its upload is complete.
    with _remote(settings, file, "wb") as stream:
        stream.write(text.encode())


def remove_file(settings: Settings, file: str) -> None:
    """Delete a file, if it is there."""
    if settings.local_home:
        (settings.local_home / _FOLDER / file).unlink(missing_ok=True)
        return
    system, path = fsspec.core.url_to_fs(settings.under_home(_FOLDER, file))
    if system.exists(path):
        system.rm(path)


def file_names(settings: Settings) -> list[str]:
    """Names of all files there are."""
    if settings.local_home:
        folder = settings.local_home / _FOLDER
        return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    system, path = fsspec.core.url_to_fs(settings.under_home(_FOLDER))
    return sorted(found.rpartition("/")[2] for found in system.ls(path, detail=False)) if system.exists(path) else []


def _remote(settings: Settings, file: str, mode: str) -> fsspec.core.OpenFile:
    try:
        return fsspec.open(settings.under_home(_FOLDER, file), mode)
    except (ImportError, ValueError) as error:
        raise SettingsError(f"setting MMFS_HOME: cannot open {settings.home}: {error}") from error


def _replace(path: Path, content: bytes) -> None:
    """Write beside the file and rename: never half a file, whenever the process or the machine stops."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
