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
                yield f"{kind} {name} is of {_release(there[name])}, expected {_release(wanted[name])}"


def _release(found: Any) -> str:
    return str(found.tags.get("release", "no release"))


def _meaning(found: Any) -> tuple[Any, ...]:
    """What decides the features that it stands for; not descriptions and times."""
    if isinstance(found, FeatureService):
        projections = [(p.name, [f.name for f in p.features]) for p in found.feature_view_projections]
        return dict(found.tags), projections
    source = found.batch_source
    place = (source.path, source.partition) if isinstance(source, DeltaSource) else source
    return dict(found.tags), [f.name for f in found.features], place
