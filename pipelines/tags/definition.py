"""What a release's tags rest on: a catalogue with its calibration and models, kept whole in the home beside the
manifests."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pipelines.consumers.tree_table import TreeTable
from pipelines.errors import ReleaseDamagedError, TagCatalogueError
from pipelines.releases.files import read_file, write_file
from pipelines.releases.manifest import Release
from pipelines.settings import PROJECT_ROOT, Settings
from pipelines.tags.catalogue import Catalogue, catalogue_of, read_catalogue
from pipelines.tags.confidence import Curve, Curves, curves_from_json, curves_to_json, read_curves
from pipelines.tags.models import features_of, require_seen

PROVIDED = PROJECT_ROOT / "feature_repo" / "tags.yaml"
_FORMAT = 1


@dataclass(frozen=True)
class Definition:
    """A catalogue, and curves and models by tag; tags without a curve have a confidence that was never compared with
    a truth. What a model says is calibrated already: its curve changes nothing, and says on how many cases.

    Raises TagCatalogueError for a model that looks at what tags do not see.
    """

    catalogue: Catalogue
    curves: Curves
    models: Mapping[str, TreeTable] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for tag, trees in self.models.items():
            require_seen(tag, trees)

    @property
    def id(self) -> str:
        """`<catalogue's version>-<eight hex digits of all that decides the tags>`."""
        text = self.catalogue.model_dump_json() + curves_to_json(self.curves)
        text += json.dumps(self._models()) if self.models else ""
        return f"{self.catalogue.version}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"

    def to_json(self) -> str:
        values = {
            "format": _FORMAT,
            "catalogue": self.catalogue.model_dump(mode="json"),
            "curves": json.loads(curves_to_json(self.curves)),
            "models": self._models(),
        }
        return json.dumps(values, ensure_ascii=False, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str, source: str) -> Definition:
        """Inverse of `to_json`. Raises TagCatalogueError, which names `source`."""
        try:
            values = json.loads(text)
            catalogue, curves = json.dumps(values["catalogue"]), json.dumps(values["curves"])
            models = {str(tag): TreeTable.from_json(trees) for tag, trees in values.get("models", {}).items()}
        except (ValueError, KeyError, TypeError) as error:
            raise TagCatalogueError(f"{source} holds no tags of a release ({error}); restore it") from error
        return cls(catalogue_of(catalogue, source), curves_from_json(curves, source), models)

    def features_of(self, table: str) -> list[str]:
        """The features of a history that conditions and models look at, in order."""
        seen = {tuple(name.split(".")) for trees in self.models.values() for name in features_of(trees)}
        return sorted({*self.catalogue.features_of(table), *(name for of, name in seen if of == table)})

    def _models(self) -> dict[str, object]:
        return {tag: trees.to_json() for tag, trees in sorted(self.models.items())}


def curves_path(catalogue: Path) -> Path:
    """Where a catalogue's calibration lies: beside it."""
    return catalogue.with_name(f"{catalogue.stem}.calibration.json")


def present_definition(settings: Settings) -> Definition:
    """What the next release's tags would rest on: the file of the settings, or the one provided.

    Curves of tags that the catalogue no longer has are left out. Raises TagCatalogueError.
    """
    return _of_file(settings.tag_catalogue or PROVIDED, settings)


def named_definition(settings: Settings, name: str) -> Definition:
    """By the id under which the home keeps it, or by the path of a catalogue. Raises TagCatalogueError."""
    kept = read_file(settings, _file(name)) if re.fullmatch(r"\d+-[0-9a-f]{8}", name) else None
    return Definition.from_json(kept, _file(name)) if kept is not None else _of_file(Path(name), settings)


def _of_file(path: Path, settings: Settings) -> Definition:
    # Imported late: workers, who tag by a definition that is there, need none of MLflow's.
    from pipelines.tags.learned import learned

    catalogue, models = learned(read_catalogue(path), settings)
    known = {tag.id for tag in catalogue.tags}
    curves = {tag: curve for tag, curve in read_curves(curves_path(path)).items() if tag in known}
    of_models = {tag: Curve(0.0, 1.0, positives=m.positives, judged=m.judged) for tag, m in models.items()}
    return Definition(catalogue, curves | of_models, models)


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
