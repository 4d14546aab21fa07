"""The home: the folder or URI under which all state lives, and the marker that says which version wrote it."""

from __future__ import annotations

import json
from dataclasses import dataclass

from pyarrow import fs

from pipelines.errors import HomeEmptyError, HomeError, HomeVersionError
from pipelines.settings import Settings

# Raised whenever an older version could no longer read what this one writes.
HOME_VERSION = 1
MARKER = "mmfs-home.json"


@dataclass(frozen=True)
class Home:
    """An opened home: its absolute path or URI and the version of its layout."""

    location: str
    version: int


def open_home(settings: Settings, create: bool) -> Home:
    """Check the home's marker; with `create`, make home and marker where there are none.

    Raises:
        HomeEmptyError: nothing has been run there, and `create` is false.
        HomeVersionError: a newer version of this software wrote it.
        HomeError: the place cannot be read or written, or its marker is damaged.
    """
    location = settings.under_home().rstrip("/")
    try:
        system, path = fs.FileSystem.from_uri(location)
        found = system.get_file_info(f"{path}/{MARKER}").type == fs.FileType.File
        if not found and not create:
            raise HomeEmptyError(
                f"nothing has been run in the home {location}. Run `mmfs run DROP` first, or set --home."
            )
        if not found:
            _write_marker(system, path)
        text = system.open_input_stream(f"{path}/{MARKER}").read().decode()
    except (OSError, ValueError) as error:
        raise HomeError(f"the home {location} cannot be used: {error}. Choose another with --home.") from error
    return Home(location, _supported_version(text, location))


def _write_marker(system: fs.FileSystem, path: str) -> None:
    system.create_dir(path, recursive=True)
    with system.open_output_stream(f"{path}/{MARKER}") as marker:
        marker.write(json.dumps({"home": "multimodal-feature-store", "version": HOME_VERSION}).encode())


def _supported_version(text: str, location: str) -> int:
    try:
        version = int(json.loads(text)["version"])
    except (ValueError, KeyError, TypeError) as error:
        raise HomeError(
            f"the marker {location}/{MARKER} is damaged: {text[:80]!r}. Restore it from a backup."
        ) from error
    if version > HOME_VERSION:
        raise HomeVersionError(
            f"the home {location} was written by a newer version (layout {version}, this one knows {HOME_VERSION}). "
            "Update this software, or choose another home with --home."
        )
    return version
