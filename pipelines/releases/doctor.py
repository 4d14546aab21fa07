"""Does everything follow the pin? Encoders' files, MLflow's aliases, Feast's registry, the online store; and mending.

The pin is the one authority: what disagrees with it is brought to say what it says, never the other way round. What
cannot be mended from here (a lost file, a server that is down) is told with what to do.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from encoders.bundled import BUNDLED, prepared_directory, verify_checksum
from encoders.errors import EncoderError
from encoders.spec import EncoderSpec
from pipelines.errors import EncoderMismatchError, OnlineStoreError, PipelineError, TableNotFoundError
from pipelines.governance.home import open_home
from pipelines.point_in_time.partitions import read_partitions
from pipelines.releases.aliases import alias_faults, withdraw_other_champions
from pipelines.releases.carrying import FOLDER_KINDS, require_unchanged
from pipelines.releases.heads import require_unchanged_heads
from pipelines.releases.journal import read_journal
from pipelines.releases.manifest import Release
from pipelines.releases.pin import default_release, live_releases
from pipelines.releases.registered_state import registered_differently
from pipelines.releases.registry import register_release
from pipelines.releases.usage import unfilled_views
from pipelines.settings import Settings
from pipelines.tables.governance import MATERIALISED

Cure = Literal["mlflow", "apply", "materialise"]


@dataclass(frozen=True)
class Finding:
    """Something that disagrees with the pin: where, what was found, what to do, and what `repair` does (or nothing)."""

    where: str
    found: str
    advice: str
    cure: Cure | None = None


def examine(settings: Settings) -> list[Finding]:
    """What disagrees with the pin; starts no Spark.

    Raises HomeEmptyError, and ReleaseDamagedError where the pin itself or a manifest cannot be relied on.
    """
    open_home(settings, create=False)
    live, default = live_releases(settings), default_release(settings)
    journal = read_journal(settings)
    if journal is not None:
        # Its views and versions are of no live release yet, and must not be taken for foreign ones.
        advice = "finish it: mmfs releases promote; or undo it: mmfs releases promote --undo"
        return [Finding("promotion", f"a promotion of {journal.release} is under way, or was cut off", advice)]
    return [
        *_encoders(settings, live),
        *_mlflow(settings, default),
        *_feast(settings, live, default),
        *_online(settings),
    ]


def repair(settings: Settings, findings: Sequence[Finding]) -> None:
    """Mend what can be mended. Raises what its steps raise; they can be repeated."""
    cures = {finding.cure for finding in findings}
    if "mlflow" in cures:
        default = default_release(settings)
        register_release(default, settings)
        withdraw_other_champions(default, settings)
    # Imported late: Feast takes seconds.
    from pipelines.run import new_run
    from pipelines.serving.repo import apply

    if "apply" in cures:
        apply(settings, new_run(settings), live_releases(settings))
    if "materialise" in cures:
        _fill_anew(settings)


def _fill_anew(settings: Settings) -> None:
    from pipelines.run import new_run, table_store
    from pipelines.serving.materialise import materialise
    from pipelines.serving.repo import feature_store, packed_store

    feast = feature_store(settings, offline=False)
    keeper = packed_store(feast).keeper(feast.config)
    if keeper.mark() is not None:
        # Not the home's mark, so that nothing counts as taken in; but one, so that servers go on.
        keeper.set_mark("to be filled anew")
    with table_store(settings, "mmfs doctor") as store:
        materialise(store, new_run(settings))


def _encoders(settings: Settings, live: Sequence[Release]) -> Iterator[Finding]:
    for spec in dict.fromkeys(spec for release in live for spec in release.encoders.values()):
        try:
            _require_weights(settings, spec)
        except (EncoderError, EncoderMismatchError) as error:
            yield Finding("encoder", str(error), "restore its files; what is stored is served all the same")
    for heads in {release.heads for release in live if release.heads}:
        try:
            require_unchanged_heads(heads)
        except EncoderMismatchError as error:
            yield Finding("heads", str(error), "what they judged is served all the same")


def _require_weights(settings: Settings, spec: EncoderSpec) -> None:
    kind, _, name = spec.uri.partition(":")
    if kind == "bundled":
        folder = prepared_directory(name, settings.cache_dir)
        verify_checksum(folder / BUNDLED[name].weights, spec.checksum)
    elif spec.uri.startswith(FOLDER_KINDS):
        require_unchanged(spec)


def _mlflow(settings: Settings, default: Release) -> Iterator[Finding]:
    try:
        for fault in alias_faults(default, settings):
            yield Finding(
                "MLflow", fault, "the default release's encoders are registered and called champion", "mlflow"
            )
    except EncoderMismatchError as error:
        yield Finding("MLflow", str(error), "delete that model version in MLflow, then repair")
    except PipelineError as error:
        yield Finding("MLflow", str(error), "bring it up; serving does not need it")


def _feast(settings: Settings, live: Sequence[Release], default: Release) -> Iterator[Finding]:
    from pipelines.serving.repo import declarations, feature_store

    feast = feature_store(settings, offline=False)
    for fault in registered_differently(feast, declarations(settings, live, default)):
        yield Finding("Feast's registry", fault, "the live releases are applied: mmfs apply", "apply")


def _online(settings: Settings) -> Iterator[Finding]:
    from pipelines.serving.progress import online_store_id
    from pipelines.serving.repo import feature_store, packed_store

    feast = feature_store(settings, offline=False)
    try:
        mark = packed_store(feast).keeper(feast.config).mark()
    except OnlineStoreError as error:
        yield Finding("online store", str(error), "bring it up")
        return
    try:
        rows = read_partitions(MATERIALISED.location(settings.under_home().rstrip("/")), _COLUMNS).to_pylist()
    except TableNotFoundError:
        rows = []
    written = {row["view"]: row["written_at"] for row in rows if row["online_store"] == online_store_id(feast)}
    newest = max((row["written_at"] for row in rows if row["view"] in written), default=None)
    taken_in = "everything is taken in again: mmfs doctor --repair"
    if mark is None:
        yield Finding("online store", "it was emptied, or never filled", taken_in, "materialise")
    elif newest is None or mark != newest.isoformat():
        said = "nothing" if newest is None else f"{newest:%Y-%m-%d %H:%M:%S}"
        yield Finding("online store", f"its mark is {mark}, the home's last materialisation {said}", taken_in,
                      "materialise")  # fmt: skip
    elif lacking := unfilled_views(settings):
        found = f"it has no row of {', '.join(view.name for view in lacking)}"
        yield Finding("online store", found, taken_in, "materialise")


_COLUMNS = ("view", "online_store", "written_at")
