"""Fine-tunes a picture encoder on a home's own pairs and registers what came out; it does not promote it."""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import torch

from encoders.bundled import file_checksum, prepared_directory
from encoders.finetuning.loop import SCORE, Options, Progress, Training
from encoders.finetuning.model import WEIGHTS, Adapters, Material, TunableClip
from encoders.spec import EncoderSpec
from pipelines.delta import TableStore
from pipelines.errors import EncoderUnusableError, SettingsError
from pipelines.finetuning.features import kept_features
from pipelines.finetuning.gathered import Gathered, gather
from pipelines.finetuning.judged import Judged, Vectors, judge
from pipelines.finetuning.study import Contents, Study, study
from pipelines.governance.home import open_home
from pipelines.governance.runs import Run
from pipelines.point_in_time.published import Published
from pipelines.releases.candidates import candidate
from pipelines.releases.manifest import Release
from pipelines.releases.pin import default_release
from pipelines.run import new_run, table_store
from pipelines.settings import Settings

_FEATURES, _STATE = "features.safetensors", "training.safetensors"


@dataclass(frozen=True)
class Watch:
    """Who is told how far it is: the stage, and the training's progress."""

    stage: Callable[[str], None] = lambda stage: None
    training: Callable[[Progress, Options], None] = lambda progress, options: None


@dataclass(frozen=True)
class Finetuned:
    """What came out. `folder` holds the new encoder, None where no step was better than the start; `state` is what a
    run goes on from, for whoever made a record of this one to delete."""

    base: EncoderSpec
    release: Release
    gathered: Gathered
    study: Study
    options: Options
    progress: Progress
    judged: Judged
    folder: Path | None
    state: Path


def finetune(settings: Settings, named: str | None, options: Options, out: Path | None, watch: Watch) -> Finetuned:
    """Fine-tune an encoder named as `candidate` takes them (None: the default release's) and judge it.

    A run that was cut off goes on from its last checkpoint as long as the home's tables say the same. Raises HomeError,
    SettingsError, EncoderError, EncoderUnusableError, TooLittleToLearnError, TableNotFoundError.
    """
    open_home(settings, create=False)
    release = default_release(settings)
    base = release.clip if named is None else candidate(named, settings)
    directory = tunable_directory(base, settings)
    place = out or encoders_folder(settings)
    with table_store(settings, "mmfs finetune") as store:
        return _finetune(store, new_run(settings), release, base, directory, options, place, watch)


def _finetune(
    store: TableStore,
    run: Run,
    release: Release,
    base: EncoderSpec,
    directory: Path,
    options: Options,
    place: Path,
    watch: Watch,
) -> Finetuned:
    settings = run.settings
    torch.set_num_threads(settings.cores)
    watch.stage("reading what users did")
    gathered = gather(store, run, Published(settings, release, datetime.now(UTC)), watch.stage)
    contents = Contents.of(gathered)
    state = place / f".{base.name}-{_key(base, options, gathered)}"
    watch.stage(f"features of {len(contents.pictures):,} pictures")
    pictures = [(picture, gathered.places.get(picture, ())) for picture in contents.pictures]
    features, texts, _ = kept_features(state / _FEATURES, directory, pictures, contents.texts, settings.cores)
    made = study(gathered, contents, features, texts)
    model = TunableClip(directory)
    adapters = model.adapters(made.material)
    before = _vectors(adapters)
    training = Training(
        adapters,
        made.learned,
        made.later,
        lambda vectors: _score(made, vectors.numpy()),
        options,
        state / _STATE,
    )
    watch.stage("training")
    progress = training.run(lambda progress: watch.training(progress, options))
    watch.stage("judging")
    folder = _written(model, adapters, base, place) if progress.best_step else None
    after = before if folder is None else _vectors(TunableClip(folder).adapters(_again(made, texts)))
    return Finetuned(base, release, gathered, made, options, progress, judge(made, before, after), folder, state)


def tunable_directory(base: EncoderSpec, settings: Settings) -> Path:
    """Where an encoder's files are. Raises EncoderUnusableError for one that is no picture encoder with files."""
    kind, _, rest = base.uri.partition(":")
    if "image" not in base.modalities:
        raise EncoderUnusableError(
            f"encoder {base.key} takes {', '.join(base.modalities)} alone; fine-tuning needs one of pictures and text"
        )
    if kind == "bundled":
        return prepared_directory(rest, settings.cache_dir)
    if kind == "open-clip" and Path(rest).is_absolute():
        return Path(rest)
    raise EncoderUnusableError(
        f"encoder {base.key} ({base.uri}) is no folder; save the model in open_clip's format and name that folder"
    )


def encoders_folder(settings: Settings) -> Path:
    """Where encoders of a home lie. Raises SettingsError where the home is remote."""
    if settings.local_home is None:
        raise SettingsError(f"home {settings.home} is remote: name a folder that every worker sees with --out")
    return settings.local_home / "encoders"


def _key(base: EncoderSpec, options: Options, gathered: Gathered) -> str:
    """The same for a run that would end the same."""
    said = repr((base.checksum, dataclasses.asdict(options), gathered.digest()))
    return hashlib.sha256(said.encode()).hexdigest()[:12]


def _score(made: Study, contents: Vectors) -> dict[str, float]:
    ranked = made.ending.ranked(contents)
    ndcg = float(ranked.ndcg.mean())
    return {SCORE: ndcg, "recall at 10": float(ranked.recall.mean())}


def _vectors(adapters: Adapters) -> tuple[Vectors, Vectors]:
    return adapters.all_contents().numpy(), adapters.all_texts().numpy()


def _again(made: Study, text_inputs: torch.Tensor) -> Material:
    return dataclasses.replace(made.material, text_inputs=text_inputs)


def _written(model: TunableClip, adapters: Adapters, base: EncoderSpec, place: Path) -> Path:
    """The encoder's folder, named by its weights as that of one carried from another home is."""
    scratch = place / f".{base.name}-new"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.parent.mkdir(parents=True, exist_ok=True)
    model.write(scratch, adapters)
    folder = place / f"{base.name}-{file_checksum(scratch / WEIGHTS).removeprefix('sha256:')[:12]}"
    if folder.is_dir():
        shutil.rmtree(scratch)
    else:
        scratch.rename(folder)
    return folder.resolve()
