"""The file that carries a release from one home to another: a zip of the manifest, the encoders' files and figures.

`contents.json` comes first and names every other member with its size and SHA-256; nothing else may be in it.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from pipelines.errors import ReleaseFileError

FORMAT = 1
_CONTENTS = "contents.json"


@dataclass(frozen=True)
class Member:
    """A file in it: size in bytes, and "sha256:…"."""

    size: int
    checksum: str


def write_release_file(path: Path, texts: Mapping[str, str], files: Mapping[str, Path]) -> int:
    """Write texts and files under their names; the size of what was written. It appears whole or not at all.

    Raises ReleaseFileError.
    """
    made = path.with_name(f".{path.name}.part")
    members = {name: Member(len(text.encode()), _sha256(text.encode())) for name, text in texts.items()}
    try:
        members |= {name: _described(file) for name, file in files.items()}
        values = {"format": FORMAT, "members": {name: [m.size, m.checksum] for name, m in members.items()}}
        path.parent.mkdir(parents=True, exist_ok=True)
        # Weights do not shrink.
        with zipfile.ZipFile(made, "w", zipfile.ZIP_STORED) as archive:
            archive.writestr(_CONTENTS, json.dumps(values, indent=2) + "\n")
            for name, text in texts.items():
                archive.writestr(name, text)
            for name, file in files.items():
                archive.write(file, name)
        made.replace(path)
    except OSError as error:
        made.unlink(missing_ok=True)
        raise ReleaseFileError(f"release file {path} cannot be written: {error}") from error
    return path.stat().st_size


class ReleaseFile:
    """An opened release file. Reading a member checks it."""

    def __init__(self, path: Path, archive: zipfile.ZipFile, members: Mapping[str, Member]) -> None:
        self.path = path
        self.members = members
        self._archive = archive

    def json(self, name: str) -> Any:
        """A member that is JSON. Raises ReleaseFileError."""
        text = self._archive.read(self._known(name))
        if (len(text), _sha256(text)) != (self.members[name].size, self.members[name].checksum):
            raise ReleaseFileError(f"release file {self.path}: {name} was changed")
        try:
            return json.loads(text)
        except ValueError as error:
            raise ReleaseFileError(f"release file {self.path}: {name} is no JSON ({error})") from error

    def below(self, folder: str) -> list[str]:
        """Names of the members in a folder, in order."""
        return sorted(name for name in self.members if name.startswith(f"{folder}/"))

    def extract(self, name: str, target: Path) -> None:
        """Write a member's bytes. Raises ReleaseFileError where they are not those that were put in."""
        expected = self.members[self._known(name)]
        target.parent.mkdir(parents=True, exist_ok=True)
        # One that claims another size is not unpacked: it could fill the disk.
        same = self._archive.getinfo(name).file_size == expected.size
        if same:
            with self._archive.open(name) as source, target.open("wb") as sink:
                shutil.copyfileobj(source, sink, 1 << 20)
        if not same or _described(target) != expected:
            target.unlink(missing_ok=True)
            raise ReleaseFileError(f"release file {self.path}: {name} was changed; export the release again")

    def _known(self, name: str) -> str:
        if name not in self.members:
            raise ReleaseFileError(f"release file {self.path} has no {name}; export the release again")
        return name


@contextmanager
def open_release_file(path: Path) -> Iterator[ReleaseFile]:
    """Raises ReleaseFileError for a file that is none, is damaged, or has members that could leave its folder."""
    try:
        with zipfile.ZipFile(path) as archive:
            values = json.loads(archive.read(_CONTENTS))
            if values["format"] > FORMAT:
                raise ReleaseFileError(
                    f"release file {path} was written by a newer version of this software; update it"
                )
            members = {str(name): Member(*described) for name, described in values["members"].items()}
            _require_plain(path, members, archive.namelist())
            yield ReleaseFile(path, archive, members)
    except FileNotFoundError as error:
        raise ReleaseFileError(f"there is no release file {path}") from error
    except (OSError, zipfile.BadZipFile, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ReleaseFileError(f"{path} is no release file, or damaged: {error}") from error


def _require_plain(path: Path, members: Mapping[str, Member], names: list[str]) -> None:
    if sorted(names) != sorted([_CONTENTS, *members]):
        raise ReleaseFileError(f"release file {path} does not hold what its contents say; export the release again")
    for name in names:
        parts = PurePosixPath(name).parts
        if name.startswith("/") or "\\" in name or ".." in parts or str(PurePosixPath(name)) != name:
            raise ReleaseFileError(f"release file {path} has a member {name!r}, which is no plain name")


def _described(path: Path) -> Member:
    with path.open("rb") as content:
        return Member(path.stat().st_size, f"sha256:{hashlib.file_digest(content, 'sha256').hexdigest()}")


def _sha256(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
