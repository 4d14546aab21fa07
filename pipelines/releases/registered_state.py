"""Whether Feast's registry says what the live releases declare."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from feast import FeatureService, FeatureStore, FeatureView

from pipelines.serving.delta_source import DeltaSource


def registered_differently(feast: FeatureStore, declared: Sequence[Any]) -> Iterator[str]:
    """Views and services that are missing, that no live release has, or that say something else; a sentence each."""
    feast.refresh_registry()
    kinds: tuple[tuple[str, type[Any], Sequence[Any]], ...] = (
        ("view", FeatureView, feast.list_batch_feature_views()),
        ("service", FeatureService, feast.list_feature_services()),
    )
    for kind, of_type, registered in kinds:
        wanted: dict[str, Any] = {o.name: o for o in declared if isinstance(o, of_type)}
        there: dict[str, Any] = {o.name: o for o in registered}
        for name in sorted(wanted.keys() - there.keys()):
            yield f"{kind} {name} is not registered"
        for name in sorted(there.keys() - wanted.keys()):
            yield f"{kind} {name} is of no live release"
        for name in sorted(wanted.keys() & there.keys()):
            if _meaning(wanted[name]) != _meaning(there[name]):
                yield f"{kind} {name} {_difference(there[name], wanted[name])}"


def _difference(found: Any, wanted: Any) -> str:
    release, expected = (str(o.tags.get("release", "no release")) for o in (found, wanted))
    if release != expected:
        return f"is of {release}, expected {expected}"
    names = sorted(n for n in found.tags.keys() | wanted.tags.keys() if found.tags.get(n) != wanted.tags.get(n))
    return f"has other tags: {', '.join(names)}" if names else "has other features, or another place of its rows"


def _meaning(found: Any) -> tuple[Any, ...]:
    """What decides the features that it stands for; not descriptions and times."""
    if isinstance(found, FeatureService):
        projections = [(p.name, [f.name for f in p.features]) for p in found.feature_view_projections]
        return dict(found.tags), projections
    source = found.batch_source
    place = (source.path, source.partition) if isinstance(source, DeltaSource) else source
    return dict(found.tags), [f.name for f in found.features], place
