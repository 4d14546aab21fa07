"""The pin: which releases are live and which is the default, for serving, Feast definitions and jobs alike.

Below the home, `releases/pin.json` names the releases with their manifests' checksums, and
`releases/<name>.json` is a manifest. The manifest is written first, then the pin is moved in one step: a
reader sees the old state or the new one.
"""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import fsspec

from pipelines.errors import HomeEmptyError, ReleaseDamagedError, SettingsError, UnknownReleaseError
from pipelines.releases.manifest import Release
from pipelines.settings import Settings

MAX_LIVE = 3
_FOLDER = "releases"
_PIN = "pin.json"


@dataclass(frozen=True)
class Pin:
    """`live`: manifest checksum by release name, in the order of going live; `default` is one of them."""

    default: str
    live: MappingProxyType[str, str]

    def __post_init__(self) -> None:
        if self.default not in self.live:
            raise ReleaseDamagedError(f"the pin's default {self.default!r} is not live: {', '.join(self.live)}")
        if len(self.live) > MAX_LIVE:
            raise ReleaseDamagedError(f"{', '.join(self.live)} are live, at most {MAX_LIVE} can be")

    def to_json(self) -> str:
        return json.dumps({"default": self.default, "live": dict(self.live)}, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Pin:
        try:
            values = json.loads(text)
            return cls(values["default"], MappingProxyType(dict(values["live"])))
        except (ValueError, TypeError, KeyError) as error:
            raise ReleaseDamagedError(f"not a pin file ({error}); restore {_FOLDER}/{_PIN}") from error


def has_pin(settings: Settings) -> bool:
    """Whether the home has a release at all."""
    return read_release_file(settings, _PIN) is not None


def read_pin(settings: Settings) -> Pin:
    """The pin. Raises HomeEmptyError where nothing has been run yet."""
    text = read_release_file(settings, _PIN)
    if text is None:
        raise HomeEmptyError(f"home '{settings.home}' has no release yet; run: mmfs run DROP")
    return Pin.from_json(text)


def live_releases(settings: Settings) -> list[Release]:
    """The live releases, in the order of their going live."""
    pin = read_pin(settings)
    return [_load(settings, name, checksum) for name, checksum in pin.live.items()]


def default_release(settings: Settings) -> Release:
    """The release that a bare name means."""
    pin = read_pin(settings)
    return _load(settings, pin.default, pin.live[pin.default])


def live_release(settings: Settings, name: str | None) -> Release:
    """The live release of that name, the default one for None. Raises UnknownReleaseError."""
    pin = read_pin(settings)
    chosen = name or pin.default
    if chosen not in pin.live:
        raise UnknownReleaseError(f"release '{chosen}' is not live; live: {', '.join(pin.live)}")
    return _load(settings, chosen, pin.live[chosen])


def write_pin(settings: Settings, releases: list[Release], default: str) -> Pin:
    """Write the manifests that are new, then move the pin. A manifest that is there is never changed.

    Raises ReleaseDamagedError where a manifest of the same name says something else.
    """
    pin = Pin(default, MappingProxyType({release.name: release.checksum for release in releases}))
    for release in releases:
        written = read_release_file(settings, f"{release.name}.json")
        if written is None:
            write_release_file(settings, f"{release.name}.json", release.to_json())
        elif written != release.to_json():
            raise ReleaseDamagedError(f"release '{release.name}' exists with other content; give a new name")
    write_release_file(settings, _PIN, pin.to_json())
    return pin


def _load(settings: Settings, name: str, checksum: str) -> Release:
    text = read_release_file(settings, f"{name}.json")
    if text is None:
        raise ReleaseDamagedError(f"the manifest of release '{name}' is missing from the home; restore it")
    release = Release.from_json(text)
    if release.checksum != checksum:
        raise ReleaseDamagedError(
            f"the manifest of release '{name}' is not the one that was pinned ({checksum}); restore it"
        )
    return release


def read_release_file(settings: Settings, file: str) -> str | None:
    """Text of a file beside the pin; None where there is none."""
    try:
        if settings.local_home:
            return (settings.local_home / _FOLDER / file).read_text(encoding="utf-8")
        with _remote(settings, file, "rb") as stream:
            return bytes(stream.read()).decode()
    except FileNotFoundError:
        return None


def write_release_file(settings: Settings, file: str, text: str) -> None:
    """Write or replace a file beside the pin, in one step."""
    if settings.local_home:
        _replace(settings.local_home / _FOLDER / file, text.encode())
        return
    # An object store shows an object only when its upload is complete.
    with _remote(settings, file, "wb") as stream:
        stream.write(text.encode())


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
