"""Carrying a release from one home to another as data: `export_release` there, `import_release` here.

What arrives is registered and left to be promoted: the target's own gate, backfill and pin decide. Names of releases
belong to their home, and the target may call it otherwise; versions of encoders are kept where they are free.
"""

from __future__ import annotations

import dataclasses
import json
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from encoders.catalogue import describe
from encoders.errors import EncoderError
from encoders.heads.spec import HeadsSpec
from encoders.spec import EncoderSpec
from pipelines.errors import EncoderMismatchError, ReleaseFileError, SettingsError
from pipelines.governance.home import open_home
from pipelines.releases.candidates import with_version_here
from pipelines.releases.heads import require_unchanged_heads, uri_of
from pipelines.releases.heads import with_version_here as with_heads_version_here
from pipelines.releases.inventory import newest_metrics
from pipelines.releases.manifest import FUSED_RECIPE, Release
from pipelines.releases.mlflow_client import experiment_id, mlflow_client
from pipelines.releases.mlflow_runs import begin_run, end_run
from pipelines.releases.pin import any_release, default_release
from pipelines.releases.registry import ENCODERS_EXPERIMENT, RegisteredEncoder, register_encoder, registered_encoders
from pipelines.releases.release_file import ReleaseFile, open_release_file, write_release_file
from pipelines.settings import Settings
from pipelines.tags.definition import Definition, definition_of, write_definition

_MANIFEST, _FIGURES, _ENCODERS, _TAGS = "manifest.json", "figures.json", "encoders", "tags.json"
FOLDER_KINDS = ("open-clip:/", "sentence-transformers:/")
# Weights, configuration and vocabularies; nothing that could be run.
_SUFFIXES = {".safetensors", ".json", ".txt", ".model", ".md", ".bpe"}
_EMPTY, _HEADS = ".keep", "heads.safetensors"
HEADS_FILE = "file:"


@dataclass(frozen=True)
class Imported:
    """What was taken in: the release as its home called it, and its encoders here by the part they play.

    `new` are those that the default release here does not have, `tags` the id of its tags where they are others; to
    promote them is what is left to do.
    """

    release: Release
    encoders: Mapping[str, RegisteredEncoder]
    new: tuple[str, ...]
    heads: HeadsSpec | None = None
    tags: str | None = None


def export_release(settings: Settings, name: str, path: Path) -> int:
    """Write a release's manifest, its encoders' files and what was measured of them; the file's size in bytes.

    Bundled encoders and those that a library downloads by name travel by name and checksum. Raises
    UnknownReleaseError, EncoderMismatchError where files are not what the manifest says, ReleaseFileError.
    """
    open_home(settings, create=False)
    release = any_release(settings, name)
    texts, files = {_MANIFEST: release.to_json()}, {}
    if release.tag_calibrations:
        texts[_TAGS] = definition_of(settings, release).to_json()
    for part, spec in release.encoders.items():
        for file in _files_of(spec):
            files[f"{_ENCODERS}/{part}/{file.relative_to(_folder_of(spec)).as_posix()}"] = file
        for folder in _empty_folders(spec):
            texts[f"{_ENCODERS}/{part}/{folder}/{_EMPTY}"] = ""
    if release.heads is not None:
        require_unchanged_heads(release.heads)
        if release.heads.uri.startswith(HEADS_FILE):
            files[f"{_ENCODERS}/heads/{_HEADS}"] = release.heads.path
    keys = {spec.key for spec in release.encoders.values()}
    known = {f"{e.name}/{e.version}": e.model_id for e in registered_encoders(settings)}
    figures = {key: newest_metrics(settings, known[key]) for key in sorted(keys) if key in known}
    texts[_FIGURES] = json.dumps(figures, indent=2) + "\n"
    return write_release_file(path, texts, files)


def import_release(settings: Settings, path: Path, encoders: Path | None = None) -> Imported:
    """Take a release in: its encoders' files below the home (or the given folder), their versions into MLflow.

    Doing it again changes nothing. Nothing is promoted. Raises ReleaseFileError, EncoderMismatchError, SettingsError,
    PipelineError where MLflow does not answer.
    """
    open_home(settings, create=False)
    standing = default_release(settings)
    with open_release_file(path) as file:
        release = Release.from_json(json.dumps(file.json(_MANIFEST)))
        _require_promotable(release, path)
        arrived = {part: _arrived(file, part, spec, settings, encoders) for part, spec in release.encoders.items()}
        heads = _arrived_heads(file, release.heads, settings, encoders)
        figures = file.json(_FIGURES)
        tags = _arrived_tags(file, release)
    specs = {part: with_version_here(spec, settings) for part, spec in arrived.items()}
    registered = {part: register_encoder(spec, settings) for part, spec in specs.items()}
    if tags is not None:
        write_definition(settings, tags)
    for part, encoder in registered.items():
        _log_figures(settings, release, encoder, figures.get(release.encoders[part].key, {}))
    new = [part for part, spec in specs.items() if spec.key != standing.encoders[part].key]
    named = [registered[part].uri for part in new]
    if heads is not None and heads.checksum != (standing.heads.checksum if standing.heads else None):
        named.append(uri_of(heads))
    return Imported(release, registered, tuple(named), heads, _new_tags(release, standing))


def _folder_of(spec: EncoderSpec) -> Path:
    return Path(spec.uri.partition(":")[2])


def _files_of(spec: EncoderSpec) -> list[Path]:
    """Files of an encoder that is a folder, checked; none of another. Raises EncoderMismatchError."""
    if not spec.uri.startswith(FOLDER_KINDS):
        return []
    require_unchanged(spec)
    return sorted(f for f in _folder_of(spec).rglob("*") if f.is_file() and f.suffix in _SUFFIXES)


def _empty_folders(spec: EncoderSpec) -> list[str]:
    """Folders without files: sentence-transformers wants one for a module without settings."""
    if not spec.uri.startswith(FOLDER_KINDS):
        return []
    folder = _folder_of(spec)
    return [d.relative_to(folder).as_posix() for d in folder.rglob("*") if d.is_dir() and not any(d.iterdir())]


def require_unchanged(spec: EncoderSpec) -> None:
    """Raises EncoderMismatchError where an encoder's files are gone, or not what its spec says."""
    try:
        found = describe(spec.uri, spec.dimensions)
    except EncoderError as error:
        raise EncoderMismatchError(f"encoder {spec.key}: {error}") from error
    if found["checksum"] != spec.checksum:
        raise EncoderMismatchError(
            f"encoder {spec.key}: {spec.uri} has the checksum {found['checksum'] or 'unknown'}, the release says "
            f"{spec.checksum or 'none'}; restore its files"
        )


def _require_promotable(release: Release, path: Path) -> None:
    unknown = [part for part in ("serving_projection", "index") if getattr(release, part)]
    if release.fused_recipe != FUSED_RECIPE:
        unknown.append(f"fused recipe {release.fused_recipe}")
    if unknown:
        raise ReleaseFileError(
            f"release {release.name} of {path} has parts that this version cannot promote ({', '.join(unknown)}); "
            "update this software"
        )


def _arrived(file: ReleaseFile, part: str, spec: EncoderSpec, settings: Settings, encoders: Path | None) -> EncoderSpec:
    """The spec as it is here, its files unpacked where it has any. Raises ReleaseFileError, EncoderMismatchError."""
    if spec.uri.startswith(FOLDER_KINDS):
        folder = _place(settings, encoders) / f"{spec.name}-{spec.checksum.removeprefix('sha256:')[:12]}"
        _unpack(file, f"{_ENCODERS}/{part}", folder)
        spec = dataclasses.replace(spec, uri=f"{spec.uri.partition(':')[0]}:{folder}")
    require_unchanged(spec)
    return spec


def _arrived_tags(file: ReleaseFile, release: Release) -> Definition | None:
    """Raises ReleaseFileError where the tags are not those that the manifest names."""
    if release.tag_calibrations is None:
        return None
    found = Definition.from_json(json.dumps(file.json(_TAGS)), f"{_TAGS} of {file.path}")
    if found.id != release.tags_definition:
        raise ReleaseFileError(f"release file {file.path}: {_TAGS} is not {release.tags_definition}; export it again")
    return found


def _new_tags(release: Release, standing: Release) -> str | None:
    other = release.tag_calibrations is not None and release.tag_calibrations != standing.tag_calibrations
    return release.tags_definition if other else None


def _arrived_heads(
    file: ReleaseFile, heads: HeadsSpec | None, settings: Settings, encoders: Path | None
) -> HeadsSpec | None:
    """The heads as they are here, their file unpacked. Raises ReleaseFileError, EncoderMismatchError."""
    if heads is None:
        return None
    if heads.uri.startswith(HEADS_FILE):
        folder = _place(settings, encoders) / f"{heads.name}-{heads.checksum.removeprefix('sha256:')[:12]}"
        _unpack(file, f"{_ENCODERS}/heads", folder)
        heads = dataclasses.replace(heads, uri=f"{HEADS_FILE}{folder / _HEADS}")
    require_unchanged_heads(heads)
    return with_heads_version_here(heads, settings)


def _place(settings: Settings, encoders: Path | None) -> Path:
    if encoders is None and settings.local_home is None:
        raise SettingsError(
            f"home {settings.home} is remote, and encoders are read from folders: name one that every worker sees "
            "with --encoders"
        )
    return (encoders or Path(settings.under_home("encoders"))).resolve()


def _unpack(file: ReleaseFile, prefix: str, folder: Path) -> None:
    names = file.below(prefix)
    foreign = [n for n in names if PurePosixPath(n).suffix not in _SUFFIXES and PurePosixPath(n).name != _EMPTY]
    if foreign or not names:
        raise ReleaseFileError(
            f"release file {file.path}: {foreign[0]} is neither weights nor configuration"
            if foreign
            else f"release file {file.path} lacks the files of {prefix}"
        )
    if folder.is_dir():
        # Its name holds the weights' checksum, which is compared whole in any case.
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as scratch:
        made = Path(scratch) / "made"
        for name in names:
            file.extract(name, made / PurePosixPath(name).relative_to(prefix))
        for empty in made.rglob(_EMPTY):
            empty.unlink()
        made.rename(folder)


def _log_figures(
    settings: Settings, release: Release, encoder: RegisteredEncoder, figures: Mapping[str, float]
) -> None:
    """What was measured where the release comes from, once: a run, and figures of the version until newer ones come."""
    with mlflow_client(settings) as client:
        from mlflow.entities import LoggedModelInput, Metric

        experiment = experiment_id(client, ENCODERS_EXPERIMENT, settings)
        tags = {"mmfs.imported.parts": release.parts_checksum, "mmfs.encoder": encoder.uri}
        wanted = " and ".join(f"tags.`{name}` = '{value}'" for name, value in tags.items())
        if client.search_runs([experiment], wanted, max_results=1):
            return
        name = f"import {encoder.name}/{encoder.version}"
        run_id = begin_run(client, experiment, name, {**tags, "mmfs.imported.release": release.name})
        now = int(time.time() * 1000)
        metrics = [Metric(metric, value, now, 0, model_id=encoder.model_id) for metric, value in figures.items()]
        client.log_batch(run_id, metrics=metrics)
        client.log_inputs(run_id, models=[LoggedModelInput(model_id=encoder.model_id)])
        end_run(client, run_id)
