"""Feast's store of a home, and registering the live releases in it. No Spark is started or imported."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from string import Template
from types import ModuleType
from typing import Any

import yaml
from feast import FeatureStore, FeatureView, RepoConfig
from feast.errors import FeatureServiceNotFoundException
from feast.feature_service import FeatureService

from pipelines.errors import HomeEmptyError, SettingsError, UnknownServiceError
from pipelines.governance.runs import Run, StepReport, timed_step
from pipelines.online.store import PackedOnlineStore
from pipelines.releases.manifest import Release
from pipelines.releases.model_uris import model_uris
from pipelines.releases.pin import default_release, live_release, live_releases, read_pin
from pipelines.settings import PROJECT_ROOT, Settings

FEATURE_REPO = PROJECT_ROOT / "feature_repo"


def feature_store(settings: Settings, *, offline: bool = True) -> FeatureStore:
    """Feast's store as the chosen configuration file in feature_repo/ describes it, below the home.

    Without `offline` the offline store is left out, for callers that only read the registry or the online store.
    Raises SettingsError where the configuration does not exist or does not fit the home.
    """
    values = _configuration(settings)
    if not offline:
        values.pop("offline_store", None)
    config = RepoConfig(**values)
    config.repo_path = FEATURE_REPO
    return FeatureStore(config=config)


def _configuration(settings: Settings) -> dict[str, Any]:
    path = FEATURE_REPO / settings.feast_config
    if not path.is_file():
        known = ", ".join(sorted(p.name for p in FEATURE_REPO.glob("*.yaml")))
        raise SettingsError(f"setting MMFS_FEAST_CONFIG: no {settings.feast_config} in feature_repo/; there: {known}")
    registry = settings.sql_registry or f"sqlite:///{settings.under_home('feast', 'registry.sqlite')}"
    names = os.environ | {
        "MMFS_HOME": settings.under_home(),
        "MMFS_REDIS": settings.redis,
        "MMFS_SQL_REGISTRY": registry,
    }
    text = Template(path.read_text(encoding="utf-8")).safe_substitute(names)
    values: dict[str, Any] = yaml.safe_load(text)
    if settings.local_home:
        (settings.local_home / "feast").mkdir(parents=True, exist_ok=True)
    elif values["online_store"]["type"].endswith("SqliteOnlineStore"):
        raise SettingsError(
            f"home {settings.home} is remote, where SQLite cannot be; set MMFS_FEAST_CONFIG=feature_store.redis.yaml"
        )
    return values


def packed_store(feast: FeatureStore) -> PackedOnlineStore:
    """The online store of a configuration. Raises SettingsError where it is none of ours."""
    store = feast._get_provider().online_store
    if not isinstance(store, PackedOnlineStore):
        raise SettingsError(
            f"setting MMFS_FEAST_CONFIG: online_store {type(store).__name__} is none of pipelines.online; "
            "use one of the configurations in feature_repo/"
        )
    return store


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """Feast's definition files import each other by bare name, as they do under `feast apply`."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))


def _definitions(module: str) -> ModuleType:
    with _importable(FEATURE_REPO):
        return importlib.import_module(module)


def declarations(settings: Settings, releases: Sequence[Release], default: Release) -> list[Any]:
    """Every Feast object of the given releases, as declared in feature_repo/."""
    entities = list(_definitions("views").ENTITIES.values())
    models = model_uris(settings)
    views = _definitions("views").feature_views(releases, settings.under_home(), models)
    services = _definitions("services").feature_services(releases, default, views, models)
    return [*entities, *views.values(), *services.values()]


def declared_views(settings: Settings, release: Release) -> dict[str, FeatureView]:
    """The feature views of a release by name, as declared in feature_repo/, whether it is live or not."""
    declared: dict[str, FeatureView] = _definitions("views").feature_views(
        [release], settings.under_home(), model_uris(settings)
    )
    return declared


def apply(settings: Settings, run: Run, releases: Sequence[Release] | None = None) -> StepReport:
    """Make the registry say what the live releases are: add, update, and delete what no live release has."""
    live = list(releases or live_releases(settings))
    with timed_step("apply") as report:
        store = feature_store(settings, offline=False)
        objects = declarations(settings, live, default_release(settings))
        gone = _no_longer_declared(store, objects)
        store.apply(objects, objects_to_delete=gone, partial=False)
        # Feast tells the online store before it commits the registry; now readers find what they are told of.
        packed_store(store).keeper(store.config).raise_generation()
        for kind in ("Entity", "FeatureView", "FeatureService"):
            report.add(None, "applied", sum(type(o).__name__ == kind for o in objects), kind)
        report.add(None, "deleted", len(gone))
    return report


def _no_longer_declared(store: FeatureStore, objects: Sequence[Any]) -> list[Any]:
    declared = {(type(o), o.name) for o in objects}
    sources = {o.batch_source.name for o in objects if getattr(o, "batch_source", None)}
    registered: list[Any] = [*store.list_feature_services(), *store.list_batch_feature_views(), *store.list_entities()]
    gone = [o for o in registered if (type(o), o.name) not in declared]
    return gone + [s for s in store.list_data_sources() if s.name not in sources]


def find_service(store: FeatureStore, settings: Settings, service: str, release: str | None = None) -> FeatureService:
    """The feature service of a use: in the given release, or as named (`risk_r2`), or in the default release.

    Raises UnknownServiceError, UnknownReleaseError where the release is not live, HomeEmptyError.
    """
    if release is not None:
        live_release(settings, release)
        suffix = f"_{release}"
        service = service if service.endswith(suffix) else service + suffix
    try:
        found: FeatureService = store.get_feature_service(service)
        if release is None and found.tags.get("use") == service:
            # The pin says which release is the default; the registry follows it a little later.
            found = store.get_feature_service(f"{service}_{read_pin(settings).default}")
    except FeatureServiceNotFoundException:
        names = sorted(s.name for s in store.list_feature_services())
        if not names:
            raise HomeEmptyError(
                f"no feature services are registered in home '{settings.home}'; run: mmfs apply"
            ) from None
        raise UnknownServiceError(f"no feature service '{service}'; there are: {', '.join(names)}") from None
    return found
