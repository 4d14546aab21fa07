"""A promotion: gate, vectors, histories, checks, views, online rows, and then the pin in one step.

Until the pin moves nothing of what is served changes; from then on servers follow. Every step can be repeated, and
the journal says that one is under way: after a crash the next call finishes, or undoes where that cannot be.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from encoders.errors import EncoderError
from encoders.heads.spec import HeadsSpec
from encoders.spec import EncoderSpec, resolve
from pipelines.delta import TableStore
from pipelines.encoding.job import encode
from pipelines.errors import EncoderMismatchError, EncoderUnusableError, PromotionPendingError, PromotionRefusedError
from pipelines.features.arrivals import backfill_job
from pipelines.governance.home import open_home
from pipelines.governance.progress import mark
from pipelines.governance.runs import Run
from pipelines.governance.writing import only_writer
from pipelines.releases.backfill import backfill, begin_history, version_predicate
from pipelines.releases.candidates import candidate as named_candidate
from pipelines.releases.compare import DEFAULT_MARGIN
from pipelines.releases.gate import Gate, Judgement, judged_by_comparison, judged_heads
from pipelines.releases.heads import heads_of_encoder, named_heads, names_heads, require_unchanged_heads
from pipelines.releases.journal import Journal, clear_journal, read_journal, record, write_journal
from pipelines.releases.manifest import Release
from pipelines.releases.online_parity import require_online_parity
from pipelines.releases.parity import require_parity, same_pairs
from pipelines.releases.pin import (
    MAX_LIVE,
    any_release,
    default_release,
    live_releases,
    next_release_name,
    read_pin,
    write_manifest,
    write_pin,
)
from pipelines.releases.registry import identity, register_encoder
from pipelines.releases.removal import remove_rows
from pipelines.releases.switch import follow_pin
from pipelines.releases.versions import Version, own_encoders, own_heads, own_histories
from pipelines.run import new_run, table_store
from pipelines.serving.materialise import materialise, standing_time
from pipelines.serving.repo import apply, feature_store
from pipelines.settings import Settings
from pipelines.tables.aggregates import EMBEDDINGS
from pipelines.tags.definition import Definition, named_definition, write_definition

Announce = Callable[[str], None]
# What trying again would not change: the promotion is undone at once.
_FINAL = (PromotionRefusedError, EncoderMismatchError, EncoderUnusableError)


def promote(
    settings: Settings,
    named: Sequence[str] = (),
    *,
    tags: str | None = None,
    margin: float = DEFAULT_MARGIN,
    reason: str | None = None,
    gate: Gate = judged_by_comparison,
    announce: Announce = lambda step: None,
) -> Release:
    """Make encoders, or tags, those of the default release; without names, finish the promotion that was cut off.

    `named` as `candidate` takes them, `tags` as `named_definition` does. `reason` passes the gate whatever it says,
    and is recorded. Raises PromotionRefusedError, PromotionPendingError, HomeError, TagCatalogueError, what `candidate`
    raises, and what a step raises; then nothing of what is served has changed, unless the message says so.
    """
    open_home(settings, create=False)
    journal = read_journal(settings)
    if journal is None:
        definition = named_definition(settings, tags) if tags else None
        journal = _begin(settings, named, definition, margin, reason, gate, announce)
    elif named or tags:
        raise PromotionPendingError(
            f"a promotion of {journal.release} was cut off; finish it first (mmfs releases promote), or undo it "
            "(mmfs releases promote --undo)"
        )
    return _finish(settings, journal, announce)


def undo(settings: Settings, announce: Announce = lambda step: None) -> str:
    """Undo the promotion that was cut off; the candidate's name. Raises PromotionRefusedError where it is pinned."""
    open_home(settings, create=False)
    journal = read_journal(settings)
    if journal is None:
        raise PromotionRefusedError("no promotion was cut off: there is nothing to undo")
    if journal.release in read_pin(settings).live:
        raise PromotionRefusedError(f"{journal.release} is live already; finish (mmfs releases promote) or roll back")
    with table_store(settings, "mmfs releases promote") as store, only_writer(settings):
        _undo(store, any_release(settings, journal.release), "undone on demand", announce)
    return journal.release


def _begin(
    settings: Settings,
    named: Sequence[str],
    definition: Definition | None,
    margin: float,
    reason: str | None,
    gate: Gate,
    announce: Announce,
) -> Journal:
    """Everything that can be refused before anything is written."""
    standing, live = default_release(settings), live_releases(settings)
    if not named and definition is None:
        raise PromotionRefusedError("no promotion was cut off: name the encoder or tags that are to be the default's")
    if len(live) >= MAX_LIVE:
        others = ", ".join(release.name for release in live if release.name != standing.name)
        raise PromotionRefusedError(f"{MAX_LIVE} releases are live; retire one first: {others} (mmfs releases retire)")
    candidate = _candidate(settings, named, definition, standing, live)
    changed = [part for part, spec in candidate.encoders.items() if spec.key != standing.encoders[part].key]
    judgements = {}
    for part in changed:
        announce(f"comparing {candidate.encoders[part].key} with {standing.encoders[part].key}")
        judgement = gate(settings, standing.encoders[part], candidate.encoders[part], margin, announce)
        judgements[part] = judgement.sentence
        _require_passed(settings, judgement, candidate.encoders[part].key, judgements, margin, reason)
    # Heads of another encoder come with it.
    if candidate.heads != standing.heads and "review" not in changed:
        judgement = judged_heads(standing.heads, candidate.heads)
        judgements["heads"] = judgement.sentence
        key = candidate.heads.key if candidate.heads else "no heads"
        _require_passed(settings, judgement, key, judgements, margin, reason)
    for part in changed:
        register_encoder(candidate.encoders[part], settings)
    if definition is not None:
        # Words are judged by the person who reviewed them: no comparison passes or refuses them.
        judgements["tags"] = f"tags {definition.id} were named"
        write_definition(settings, definition)
    write_manifest(settings, candidate)
    journal = Journal(candidate.name, standing.name, reason, judgements)
    write_journal(settings, journal)
    return journal


def _require_passed(
    settings: Settings, judgement: Judgement, key: str, judgements: dict[str, str], margin: float, reason: str | None
) -> None:
    if not judgement.passes and reason is None:
        record(settings, "refused", key, judgements=judgements, margin=margin)
        raise PromotionRefusedError(f"{judgement.sentence} To promote it anyway: --force --reason")


def _candidate(
    settings: Settings,
    named: Sequence[str],
    definition: Definition | None,
    standing: Release,
    live: Sequence[Release],
) -> Release:
    specs: dict[str, EncoderSpec] = {}
    for name in (name for name in named if not names_heads(name)):
        spec = named_candidate(name, settings)
        part = "clip" if "image" in spec.modalities else "review"
        if part in specs:
            raise PromotionRefusedError(f"{spec.key} and {specs[part].key} are both for the same part; name one")
        specs[part] = spec
    clip, review = (specs.get(part, spec) for part, spec in standing.encoders.items())
    heads = _heads(settings, [name for name in named if names_heads(name)], standing, review)
    release = dataclasses.replace(standing, name=next_release_name(settings), clip=clip, review=review, heads=heads)
    if definition is not None:
        release = dataclasses.replace(release, tag_calibrations={"definition": definition.id})
    for other in live:
        if dataclasses.replace(other, name=release.name) == release:
            how = "it is the default" if other == standing else f"mmfs releases rollback --to {other.name}"
            raise PromotionRefusedError(f"release {other.name} stands on these encoders and tags already: {how}")
    return release


def _heads(settings: Settings, named: Sequence[str], standing: Release, review: EncoderSpec) -> HeadsSpec | None:
    """Those that are named, else those that come with a new encoder of reviews, else those there are."""
    if len(named) > 1:
        raise PromotionRefusedError(f"{' and '.join(named)} are both heads; name one")
    if not named:
        return standing.heads if review.key == standing.review.key else heads_of_encoder(review, settings)
    heads = named_heads(named[0], settings)
    heads.require_on(review)
    return heads


def _finish(settings: Settings, journal: Journal, announce: Announce) -> Release:
    candidate = any_release(settings, journal.release)
    if candidate.name not in read_pin(settings).live:
        # The plan of the steps before needs no Spark.
        with table_store(settings, "mmfs releases promote") as store, only_writer(settings):
            try:
                _prepare(store, journal, candidate, announce)
            except _FINAL as error:
                _undo(store, candidate, str(error), announce)
                raise
        announce("moving the pin")
        write_pin(settings, [*live_releases(settings), candidate], default=candidate.name)
    announce("telling the servers, Feast and MLflow")
    follow_pin(settings)
    record(settings, "promoted", candidate.name, previous=journal.previous, reason=journal.reason,
           judgements=journal.judgements)  # fmt: skip
    clear_journal(settings)
    return candidate


def _prepare(store: TableStore, journal: Journal, candidate: Release, announce: Announce) -> None:
    """Everything of the candidate, beside what is served. Raises one of _FINAL where it cannot be."""
    settings, live = store.settings, live_releases(store.settings)
    standing = any_release(settings, journal.previous)
    run = _run_at(store)
    _require_unchanged(candidate, live)
    announce("encoding what is new")
    encode(store, run, candidate)
    _require_unchanged(candidate, live)
    # Of the first heads, and of the first tags, there is no history yet.
    own = own_histories(candidate, live)
    histories = [table for table, _ in own if store.exists(table) or not standing.serves(table)]
    for table in histories:
        # What an earlier attempt wrote may have been overtaken by a run.
        if table.name not in journal.backfilled or not same_pairs(store, table, standing, candidate):
            announce(f"backfilling {table.name}")
            begun = datetime.now(UTC)
            if standing.serves(table):
                backfill(store, table, standing, candidate)
            else:
                begin_history(store, run, table, candidate)
            journal = journal.with_backfilled(table.name, begun)
            write_journal(settings, journal)
        announce(f"checking {table.name}")
        require_parity(store, table, standing, candidate)
    _mark_backfilled(store, journal, standing, candidate)
    announce("registering views and services")
    apply(settings, run, [*live, candidate])
    announce("filling the online store")
    materialise(store, run)
    announce("checking the online store")
    require_online_parity(store, run, candidate, histories)


def _mark_backfilled(store: TableStore, journal: Journal, standing: Release, candidate: Release) -> None:
    """Tell the next regular run that it need not take in the new vectors once more.

    Where the new encoder gave vectors that the standing one could not, it must: rows may be due that have no pair.
    """
    since = journal.backfilled_since
    for part, spec in candidate.encoders.items():
        before, after = (release.encoder_for(part) for release in (standing, candidate))
        if since is not None and after != before and not _gained(store, before, after):
            mark(store, backfill_job((spec.name, spec.version)), since)


def _gained(store: TableStore, before: Version, after: Version) -> bool:
    """Whether contents have a vector of the second version that have none of the first."""
    rows = store.read(EMBEDDINGS).where("status = 'ok'")
    old, new = (rows.where(version_predicate(v)).select("content_hash", "modality") for v in (before, after))
    return not new.join(old, ["content_hash", "modality"], "left_anti").isEmpty()


def _run_at(store: TableStore) -> Run:
    """At the time up to which the online store is filled: nothing of other releases moves."""
    at = standing_time(store, feature_store(store.settings, offline=False))
    return new_run(store.settings, at or datetime.now(UTC))


def _require_unchanged(candidate: Release, live: Sequence[Release]) -> None:
    """Raises EncoderMismatchError where the files of a new encoder are not those that were registered."""
    new = own_encoders(candidate, live)
    for spec in (spec for spec in candidate.encoders.values() if (spec.name, spec.version) in new):
        try:
            now = resolve(spec.uri, name=spec.name, version=spec.version, dimensions=spec.dimensions)
        except EncoderError as error:
            raise EncoderUnusableError(f"encoder {spec.key}: {error}") from error
        if identity(now) != identity(spec):
            raise EncoderMismatchError(
                f"encoder {spec.key}: the files of {spec.uri} were changed since they were registered "
                f"(checksum {spec.checksum or 'none'}, now {now.checksum or 'none'})"
            )
    if candidate.heads and own_heads(candidate, live):
        require_unchanged_heads(candidate.heads)


def _undo(store: TableStore, candidate: Release, why: str, announce: Announce) -> None:
    """Views, online rows and rows of the candidate go; its encoders stay registered, its name stays given."""
    announce(f"undoing {candidate.name}")
    live = live_releases(store.settings)
    apply(store.settings, new_run(store.settings), live)
    remove_rows(store, candidate, live)
    record(store.settings, "undone", candidate.name, why=why)
    clear_journal(store.settings)
