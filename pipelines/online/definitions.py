"""What can be asked online: services and views of the live releases, as one immutable picture of registry and pin."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from feast import FeatureStore
from feast.errors import FeastError
from google.protobuf.message import DecodeError
from sqlalchemy.exc import SQLAlchemyError

from pipelines.errors import (
    HomeEmptyError,
    RegistryUnreadableError,
    UnknownFeatureError,
    UnknownReleaseError,
    UnknownServiceError,
)
from pipelines.online.plans import RankingPlan, ReadPlan, ViewPlan
from pipelines.releases.pin import Pin, read_pin
from pipelines.settings import Settings
from pipelines.tables.features import PRODUCT_VECTORS, USER_CONSENT


class Definitions:
    """See the module. `generation` is the online store's at the time of reading."""

    def __init__(
        self,
        views: Iterable[ViewPlan],
        services: Mapping[str, ReadPlan],
        rankings: Mapping[str, RankingPlan],
        pin: Pin,
        generation: int,
    ) -> None:
        self._views = {view.name: view for view in views}
        self._services = dict(services)
        self._rankings = dict(rankings)
        self._lists: dict[tuple[str, ...], ReadPlan] = {}
        self.pin = pin
        self.generation = generation

    @classmethod
    def load(cls, feast: FeatureStore, settings: Settings, generation: int) -> Definitions:
        """Read registry and pin anew. Raises RegistryUnreadableError, HomeEmptyError, ReleaseDamagedError."""
        try:
            pin = read_pin(settings)
            feast.refresh_registry()
            found = feast.list_batch_feature_views()
            services = feast.list_feature_services()
        except (OSError, DecodeError, FeastError, SQLAlchemyError) as error:
            raise RegistryUnreadableError(f"Feast's registry cannot be read ({error}); run: mmfs apply") from error
        # Views of several entities or of none are left to Feast, as are services of them or of on-demand views.
        views = {view.name: ViewPlan.of(view) for view in found if len(view.join_keys) == 1}
        consent = views.get(USER_CONSENT.name)
        plans, rankings = {}, {}
        for service in services:
            projections = service.feature_view_projections
            keys = {views[p.name].join_key if p.name in views else p.name for p in projections}
            if not keys <= {"user_id", "product_id"} and len(keys) != 1:
                continue
            chosen = tuple(
                replace(views[p.name], label=p.name_to_use(), features=tuple(f.name for f in p.features))
                for p in projections
            )
            use, release = service.tags.get("use"), service.tags.get("release")
            purpose = service.tags.get("purpose", "none")
            if len(keys) == 1:
                plans[service.name] = _plan(chosen, consent, use, release, purpose)
            elif ranking := _ranking(chosen, consent, use, release, purpose):
                rankings[service.name] = ranking
        return cls(views.values(), plans, rankings, pin, generation)

    def service(self, name: str, release: str | None = None) -> ReadPlan:
        """A use in the given release, or as named (`risk_r2`), or in the release that the pin names as default.

        Raises UnknownServiceError, UnknownReleaseError where the release is not live, HomeEmptyError.
        """
        return self._named(self._services, name, release)

    def ranking(self, name: str, release: str | None = None) -> RankingPlan:
        """The same of a service of users and products."""
        return self._named(self._rankings, name, release)

    def _named(self, plans: Mapping[str, P], name: str, release: str | None) -> P:
        if release is not None:
            self.require_live(release)
            suffix = f"_{release}"
            name = name if name.endswith(suffix) else name + suffix
        # The pin decides, not the registry, which follows it: so a promotion is one step. A service of a use in a
        # release exists before that is live.
        plan = plans.get(f"{name}_{self.pin.default}") or plans.get(name)
        if plan is not None:
            if plan.release is not None:
                self.require_live(plan.release)
            return plan
        if not self._services:
            raise HomeEmptyError("no feature services are registered; run: mmfs apply")
        if name in self._rankings:
            raise UnknownServiceError(f"service '{name}' answers for a user and products: ask /get-ranking-features")
        use, _, release = name.rpartition("_")
        if use in plans:
            self.require_live(release)
        raise UnknownServiceError(f"no feature service '{name}'; there are: {', '.join(sorted(plans)) or 'none'}")

    def require_live(self, release: str) -> None:
        """Raises UnknownReleaseError."""
        if release not in self.pin.live:
            raise UnknownReleaseError(f"release '{release}' is not live; live: {', '.join(self.pin.live)}")

    def features(self, references: Sequence[str], release: str | None = None) -> ReadPlan:
        """Features given as `view:feature`, all of one entity and release.

        Raises UnknownFeatureError, UnknownReleaseError.
        """
        plan = self._lists.get(tuple(references))
        if plan is None:
            plan = self._plan_of(references)
            if len(self._lists) < _KEPT_LISTS:
                self._lists[tuple(references)] = plan
        if release is not None:
            self.require_live(release)
            others = [v.name for v in plan.views if v.releases and release not in v.releases]
            if others:
                raise UnknownReleaseError(f"view '{others[0]}' is not of release '{release}'")
        return plan

    def _plan_of(self, references: Sequence[str]) -> ReadPlan:
        wanted: dict[str, list[str]] = {}
        for reference in references:
            view, _, name = reference.partition(":")
            if view not in self._views or name not in self._views[view].schema.positions:
                raise UnknownFeatureError(f"no feature '{reference}'; features are named view:feature")
            wanted.setdefault(view, []).append(name)
        if not wanted:
            raise UnknownFeatureError("no features are asked for; name a feature service or features")
        views = tuple(replace(self._views[v], features=tuple(names)) for v, names in wanted.items())
        live = [set(view.releases) for view in views if view.releases]
        common = set.intersection(*live) if live else {self.pin.default}
        if not common:
            raise UnknownFeatureError("the features asked for are of different releases; ask for those of one")
        release = self.pin.default if self.pin.default in common else min(common & self.pin.live.keys() or common)
        self.require_live(release)
        return _plan(views, self._views.get(USER_CONSENT.name), None, release, "none")


_KEPT_LISTS = 256
P = TypeVar("P", bound=ReadPlan | RankingPlan)


def _ranking(
    views: tuple[ViewPlan, ...], consent: ViewPlan | None, use: str | None, release: str | None, purpose: str
) -> RankingPlan | None:
    """None where a service of users and products has no vectors of products, and is none of ours."""
    vectors = [view for view in views if view.table == PRODUCT_VECTORS.name]
    of_user = tuple(view for view in views if view.join_key == "user_id")
    shown = tuple(replace(v, features=v.numbers) for v in views if v.join_key == "product_id" and v.numbers)
    if not vectors or not shown:
        return None
    user = _plan(of_user, consent, use, release, purpose)
    return RankingPlan(user, *(_plan(some, consent, use, release, "none") for some in (shown, (vectors[0],))))


def _plan(
    views: tuple[ViewPlan, ...], consent: ViewPlan | None, use: str | None, release: str | None, purpose: str
) -> ReadPlan:
    keys = {view.join_key for view in views}
    if len(keys) > 1:
        raise UnknownFeatureError(f"features of {' and '.join(sorted(keys))} cannot be asked for together")
    personal = any(view.purpose for view in views)
    gate = consent if personal else None
    return ReadPlan(use, release, None if purpose == "none" else purpose, keys.pop(), views, gate)
