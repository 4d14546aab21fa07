"""What there is: encoder versions and releases, each with where it is used, what it takes up and how it does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.governance.home import open_home
from pipelines.releases.lineage import RELEASE_TAG, SERVICE_TAG
from pipelines.releases.manifest import Release
from pipelines.releases.mlflow_client import mlflow_client
from pipelines.releases.pin import live_releases, read_pin
from pipelines.releases.registry import registered_encoders
from pipelines.releases.usage import Stored, UsedView, Version, stored_versions, used_views
from pipelines.settings import Settings

_STAGES_IN_USE = ("Staging", "Production")


@dataclass(frozen=True)
class Consumer:
    """A registered model that was trained on features of a release; `service` may be several, with commas.

    `is_current`: the newest version of its model, or one that an alias or a stage is set on.
    """

    uri: str
    service: str
    release: str
    is_current: bool


@dataclass(frozen=True)
class Usage:
    """Where versions are used: feature views, services, rows in Delta and online, and the models that consume them.

    Bytes are those of Delta's files; online of the packed rows, without what the store adds.
    """

    views: tuple[str, ...]
    services: tuple[str, ...]
    stored: tuple[Stored, ...]
    online_rows: int
    online_bytes: int
    consumers: tuple[Consumer, ...]

    @property
    def rows(self) -> int:
        return sum(stored.rows for stored in self.stored)

    @property
    def bytes(self) -> int:
        return sum(stored.bytes for stored in self.stored)


@dataclass(frozen=True)
class ListedEncoder:
    """An encoder version. `uri` is MLflow's; `plays` says in which live releases it plays which part."""

    name: str
    version: str
    uri: str
    aliases: tuple[str, ...]
    source: str
    dimensions: int
    modalities: tuple[str, ...]
    plays: tuple[str, ...]
    metrics: dict[str, float]
    usage: Usage


@dataclass(frozen=True)
class ListedRelease:
    """A live release, with the encoders by part; heads and tags' definition, or None."""

    name: str
    is_default: bool
    checksum: str
    encoders: dict[str, str]
    fused: str
    heads: str | None
    tags: str | None
    usage: Usage


def listed_encoders(settings: Settings) -> list[ListedEncoder]:
    """Every registered encoder version, by name and MLflow's number.

    Raises HomeEmptyError, OnlineStoreUnreachableError, and PipelineError where MLflow does not answer.
    """
    open_home(settings, create=False)
    releases, known = live_releases(settings), _Known.of(settings)
    found = []
    for encoder in registered_encoders(settings):
        facts, key = encoder.facts, f"{encoder.name}/{encoder.version}"
        plays = {r.name: [p for p, spec in r.encoders.items() if spec.key == key] for r in releases}
        found.append(
            ListedEncoder(
                name=encoder.name,
                version=encoder.version,
                uri=encoder.uri,
                aliases=encoder.aliases,
                source=facts["uri"],
                dimensions=int(facts["dimensions"]),
                modalities=tuple(facts["modalities"].split(",")),
                plays=tuple(f"{name} {part}" for name, parts in plays.items() for part in parts),
                metrics=newest_metrics(settings, encoder.model_id),
                usage=known.usage(
                    {(encoder.name, encoder.version)} | {r.encoder_for("fused") for r in releases if plays[r.name]}
                ),
            )
        )
    return found


def listed_releases(settings: Settings) -> list[ListedRelease]:
    """The live releases in the order of going live. Raises as `listed_encoders`."""
    open_home(settings, create=False)
    default, known = read_pin(settings).default, _Known.of(settings)
    return [
        ListedRelease(
            name=release.name,
            is_default=release.name == default,
            checksum=release.checksum,
            encoders={part: spec.key for part, spec in release.encoders.items()},
            fused="/".join(release.encoder_for("fused")),
            heads=release.heads.key if release.heads else None,
            tags=release.tags_definition if release.tag_calibrations else None,
            usage=known.usage(_versions(release), release.name),
        )
        for release in live_releases(settings)
    ]


def _versions(release: Release) -> set[Version]:
    made = [part for part, of in (("opinions", release.heads), ("tags", release.tag_calibrations)) if of]
    return {release.encoder_for(part) for part in (*release.encoders, "fused", *made)}


@dataclass(frozen=True)
class _Known:
    """All there is, asked for once."""

    stored: dict[Version, list[Stored]]
    views: Sequence[UsedView]
    consumers: Sequence[Consumer]

    @classmethod
    def of(cls, settings: Settings) -> _Known:
        return cls(stored_versions(settings), used_views(settings), consumers(settings))

    def usage(self, versions: set[Version], release: str | None = None) -> Usage:
        """Of some versions; services of one release alone where it is named."""
        views = [v for v in self.views if v.version in versions and (release is None or release in v.releases)]
        services = {name for view in views for name in view.services}
        if release is not None:
            services = {name for name in services if name.endswith(f"_{release}")}
        live = {name for view in views for name in view.releases} if release is None else {release}
        return Usage(
            views=tuple(view.name for view in views),
            services=tuple(sorted(services)),
            stored=tuple(stored for version in sorted(versions) for stored in self.stored.get(version, ())),
            online_rows=sum(view.online.rows for view in views),
            online_bytes=sum(view.online.bytes for view in views),
            consumers=tuple(consumer for consumer in self.consumers if consumer.release in live),
        )


def consumers(settings: Settings) -> list[Consumer]:
    """The registered models that say which features they consume. Raises PipelineError where MLflow does not answer."""
    with mlflow_client(settings) as client:
        versions = client.search_model_versions()
        tagged = [v for v in versions if SERVICE_TAG in v.tags and RELEASE_TAG in v.tags]
        models = [client.get_registered_model(name) for name in sorted({v.name for v in tagged})]
    newest = {model.name: max(int(v.version) for v in versions if v.name == model.name) for model in models}
    called = {(model.name, str(version)) for model in models for version in model.aliases.values()}
    found = [
        Consumer(
            f"models:/{v.name}/{v.version}",
            v.tags[SERVICE_TAG],
            v.tags[RELEASE_TAG],
            is_current=int(v.version) == newest[v.name]
            or (v.name, str(v.version)) in called
            or v.current_stage in _STAGES_IN_USE,
        )
        for v in tagged
    ]
    return sorted(found, key=lambda consumer: consumer.uri)


def newest_metrics(settings: Settings, model_id: str) -> dict[str, float]:
    """The newest value of each metric that was logged of the version."""
    with mlflow_client(settings) as client:
        metrics = client.get_logged_model(model_id).metrics or []
    newest = sorted(metrics, key=lambda metric: metric.timestamp)
    return {metric.key: metric.value for metric in newest}
