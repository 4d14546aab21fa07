"""`Lineage`: which services and release a model learned from. It travels with the model; reading it needs no MLflow.

A model's version in the registry has it as tags, the saved model as metadata. Whoever serves the model asks for the
features of that release and of no other (`pipelines.client.ModelFeatures`, `mmfs releases check`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipelines.errors import ModelLineageError

if TYPE_CHECKING:
    from pipelines.training.manifest import Manifest

SERVICE_TAG, RELEASE_TAG = "mmfs.service", "mmfs.release"
"""Of which service (several: separated by commas) and release a model version consumes features."""
PARTS_TAG, VIEWS_TAG, ENCODERS_TAG = "mmfs.release.parts", "mmfs.views", "mmfs.encoders"
# Under these names Feast's own MLflow integration looks for a model's features.
FEAST_SERVICE_TAG, FEAST_VIEWS_TAG = "feast.feature_service", "feast.feature_views"


@dataclass(frozen=True)
class Lineage:
    """What a model learned from, wholly of one release.

    Attributes:
        services: uses ("risk"), without a release.
        release: its name in the home where the model learned.
        parts: checksum of what the release is made of, equal in every home.
        views: feature views, whose names carry the encoders' versions.
        encoders: MLflow's URIs of the encoders behind them.
    """

    services: tuple[str, ...]
    release: str
    parts: str
    views: tuple[str, ...]
    encoders: tuple[str, ...]

    @classmethod
    def of(cls, *training_sets: Manifest) -> Lineage:
        """Of a model that learned from training sets, by their manifests. Raises ModelLineageError."""
        releases = {(made.release, made.release_parts) for made in training_sets}
        if len(releases) != 1:
            names = ", ".join(sorted(name for name, _ in releases)) or "none"
            raise ModelLineageError(f"a model learns from training sets of one release; these are of: {names}")
        [(release, parts)] = releases
        uris = [made.encoders[name] for made in training_sets for name in made.encoders if name.endswith("_models")]
        return cls(
            services=_distinct(made.service for made in training_sets),
            release=release,
            parts=parts,
            views=_distinct(view for made in training_sets for view in made.views),
            encoders=_distinct(uri for several in uris for uri in several.split(",") if uri),
        )

    def tags(self) -> dict[str, str]:
        """For a model version's tags, or a saved model's metadata."""
        return {
            SERVICE_TAG: ",".join(self.services),
            RELEASE_TAG: self.release,
            PARTS_TAG: self.parts,
            VIEWS_TAG: ",".join(self.views),
            ENCODERS_TAG: ",".join(self.encoders),
            FEAST_SERVICE_TAG: f"{self.services[0]}_{self.release}",
            FEAST_VIEWS_TAG: ",".join(self.views),
        }

    @classmethod
    def of_tags(cls, tags: Mapping[str, Any], whose: str = "the model") -> Lineage:
        """Inverse of `tags`: also of `mlflow.pyfunc.load_model(…).metadata.metadata`. Raises ModelLineageError."""
        missing = [name for name in (SERVICE_TAG, RELEASE_TAG) if not tags.get(name)]
        if missing:
            raise ModelLineageError(
                f"{whose} does not say which features it learned from: it lacks {' and '.join(missing)}. Register it "
                "with the tags of Lineage.of(manifest of its training set)"
            )
        several = {name: tuple(v for v in str(tags.get(name, "")).split(",") if v) for name in _LISTS}
        return cls(
            several[SERVICE_TAG],
            str(tags[RELEASE_TAG]),
            str(tags.get(PARTS_TAG, "")),
            several[VIEWS_TAG],
            several[ENCODERS_TAG],
        )


_LISTS = (SERVICE_TAG, VIEWS_TAG, ENCODERS_TAG)


def _distinct(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values))
