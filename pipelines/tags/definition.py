"""What a release's tags rest on: a catalogue with its calibration, kept whole in the home beside the manifests."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path

from pipelines.errors import ReleaseDamagedError, TagCatalogueError
from pipelines.releases.files import read_file, write_file
from pipelines.releases.manifest import Release
from pipelines.settings import PROJECT_ROOT, Settings
from pipelines.tags.catalogue import Catalogue, catalogue_of, read_catalogue
from pipelines.tags.confidence import Curves, curves_from_json, curves_to_json, read_curves

PROVIDED = PROJECT_ROOT / "feature_repo" / "tags.yaml"
_FORMAT = 1


@dataclass(frozen=True)
class Definition:
    """A catalogue, and curves by tag; tags without a curve have a confidence that was never compared with a truth."""

    catalogue: Catalogue
    curves: Curves

    @property
    def id(self) -> str:
        """`<catalogue's version>-<eight hex digits of all that decides the tags>`."""
        text = self.catalogue.model_dump_json() + curves_to_json(self.curves)
        return f"{self.catalogue.version}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"

    def to_json(self) -> str:
        values = {
            "format": _FORMAT,
            "catalogue": self.catalogue.model_dump(mode="json"),
            "curves": json.loads(curves_to_json(self.curves)),
        }
        return json.dumps(values, ensure_ascii=False, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str, source: str) -> Definition:
        """Inverse of `to_json`. Raises TagCatalogueError, which names `source`."""
        try:
            values = json.loads(text)
            catalogue, curves = json.dumps(values["catalogue"]), json.dumps(values["curves"])
        except (ValueError, KeyError, TypeError) as error:
            raise TagCatalogueError(f"{source} holds no tags of a release ({error}); restore it") from error
        return cls(catalogue_of(catalogue, source), curves_from_json(curves, source))


def curves_path(catalogue: Path) -> Path:
    """Where a catalogue's calibration lies: beside it."""
    return catalogue.with_name(f"{catalogue.stem}.calibration.json")


def present_definition(settings: Settings) -> Definition:
    """What the next release's tags would rest on: the file of the settings, or the one provided.

    Curves of tags that the catalogue no longer has are left out. Raises TagCatalogueError.
    """
    return _of_file(settings.tag_catalogue or PROVIDED)


def named_definition(settings: Settings, name: str) -> Definition:
    """By the id under which the home keeps it, or by the path of a catalogue. Raises TagCatalogueError."""
    kept = read_file(settings, _file(name)) if re.fullmatch(r"\d+-[0-9a-f]{8}", name) else None
    return Definition.from_json(kept, _file(name)) if kept is not None else _of_file(Path(name))


def _of_file(path: Path) -> Definition:
    catalogue = read_catalogue(path)
    known = {tag.id for tag in catalogue.tags}
    curves = {tag: curve for tag, curve in read_curves(curves_path(path)).items() if tag in known}
    return Definition(catalogue, curves)


def write_definition(settings: Settings, definition: Definition) -> None:
    """Keep it in the home. Writing it again changes nothing."""
    write_file(settings, _file(definition.id), definition.to_json())


def definition_of(settings: Settings, release: Release) -> Definition:
    """Of a release that has tags. Raises ReleaseDamagedError where the home does not hold it as it was."""
    wanted = release.tags_definition
    text = read_file(settings, _file(wanted))
    if text is None:
        raise ReleaseDamagedError(f"the tags {wanted} of release '{release.name}' are missing from the home")
    found = Definition.from_json(text, _file(wanted))
    if found.id != wanted:
        raise ReleaseDamagedError(f"{_file(wanted)} was changed since release '{release.name}' was made; restore it")
    return found


def _file(identifier: str) -> str:
    return f"tags-{identifier}.json"
