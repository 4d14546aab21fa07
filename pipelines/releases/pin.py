"""The pin: which releases are live and which is the default, for serving, Feast definitions and jobs alike.

Below the home, `releases/pin.json` names the releases with their manifests' checksums, and
`releases/<name>.json` is a manifest. The manifest is written first, then the pin is moved in one step: a
reader sees the old state or the new one.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from types import MappingProxyType

from pipelines.errors import HomeEmptyError, ReleaseDamagedError, UnknownReleaseError
from pipelines.releases.files import file_names, read_file, write_file
from pipelines.releases.manifest import Release
from pipelines.settings import Settings

MAX_LIVE = 3
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
            raise ReleaseDamagedError(f"not a pin file ({error}); restore releases/{_PIN}") from error


def has_pin(settings: Settings) -> bool:
    """Whether the home has a release at all."""
    return read_file(settings, _PIN) is not None


def read_pin(settings: Settings) -> Pin:
    """The pin. Raises HomeEmptyError where nothing has been run yet."""
    text = read_file(settings, _PIN)
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
        write_manifest(settings, release)
    write_file(settings, _PIN, pin.to_json())
    return pin


def write_manifest(settings: Settings, release: Release) -> None:
    """Write a manifest, live or not yet. Raises ReleaseDamagedError where its name has another already."""
    written = read_file(settings, f"{release.name}.json")
    if written is None:
        write_file(settings, f"{release.name}.json", release.to_json())
    elif written != release.to_json():
        raise ReleaseDamagedError(f"release '{release.name}' exists with other content; give a new name")


def any_release(settings: Settings, name: str) -> Release:
    """A release that is, was or may become live. Raises UnknownReleaseError, ReleaseDamagedError."""
    text = read_file(settings, f"{name}.json") if re.fullmatch(r"r\d+", name) else None
    if text is None:
        raise UnknownReleaseError(f"there never was a release '{name}'")
    return Release.from_json(text)


def next_release_name(settings: Settings) -> str:
    """The first "rN" after all that were ever given: a name is not used twice."""
    return f"r{max(_numbers(settings), default=0) + 1}"


def known_releases(settings: Settings) -> list[Release]:
    """Every release that is, was or may become live. Raises ReleaseDamagedError."""
    return [any_release(settings, f"r{number}") for number in sorted(_numbers(settings))]


def _numbers(settings: Settings) -> list[int]:
    return [int(found[1]) for file in file_names(settings) if (found := re.fullmatch(r"r(\d+)\.json", file))]


def _load(settings: Settings, name: str, checksum: str) -> Release:
    text = read_file(settings, f"{name}.json")
    if text is None:
        raise ReleaseDamagedError(f"the manifest of release '{name}' is missing from the home; restore it")
    release = Release.from_json(text)
    if release.checksum != checksum:
        raise ReleaseDamagedError(
            f"the manifest of release '{name}' is not the one that was pinned ({checksum}); restore it"
        )
    return release
