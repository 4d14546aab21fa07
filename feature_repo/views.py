"""Feature views: one per feature history and purpose, and per live version of the encoder or recipe behind it.

What a feature means is its column's comment in `pipelines/tables/features.py`; the view takes it over.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from entities import OWNER, product, user
from feast import FeatureView, Field
from feast.types import Array, Bool, FeastType, Float32, Float64, Int32, Int64, String, UnixTimestamp
from sources import delta_source

from pipelines.releases.manifest import Release, view_name
from pipelines.releases.model_uris import models_behind
from pipelines.tables.features import HISTORIES, USER_CONSENT
from pipelines.tables.schema import Table

ENTITIES = {"user": user, "product": product}
FEAST_TYPES: dict[str, FeastType] = {
    "bigint": Int64,
    "int": Int32,
    "double": Float64,
    "boolean": Bool,
    "string": String,
    "timestamp": UnixTimestamp,
    "array<float>": Array(Float32),
    "array<string>": Array(String),
}


def feature_view(
    table: Table, purpose: str | None, releases: Sequence[Release], home: str, models: Mapping[str, str]
) -> FeatureView:
    """The view that the given releases share: their part that the table depends on is of one version."""
    entity = ENTITIES[table.entity or "user"]
    source = delta_source(table, purpose, releases[0], home)
    tags = {**source.tags, "release": ",".join(release.name for release in releases)}
    if table.depends_on:
        tags["mlflow_models"] = models_behind(releases[0], table.depends_on, models)
    fields = [Field(name=c.name, dtype=FEAST_TYPES[c.type], description=c.comment) for c in table.feature_columns]
    return FeatureView(
        name=view_name(table, purpose, releases[0]),
        entities=[entity],
        # A row holds until the next change.
        ttl=timedelta(0),
        schema=[Field(name=entity.join_key, dtype=String, description=entity.description), *fields],
        source=source,
        description=table.comment,
        owner=OWNER,
        tags=tags,
    )


def feature_views(releases: Sequence[Release], home: str, models: Mapping[str, str]) -> dict[str, FeatureView]:
    """Every view of the live releases, by name; `models` are MLflow's URIs by encoder key."""
    sharing: dict[str, tuple[Table, str | None, list[Release]]] = {}
    for table in (*HISTORIES, USER_CONSENT):
        for purpose in table.purposes or (None,):
            for release in (release for release in releases if release.serves(table)):
                name = view_name(table, purpose, release)
                sharing.setdefault(name, (table, purpose, []))[2].append(release)
    return {
        name: feature_view(table, purpose, shared, home, models) for name, (table, purpose, shared) in sharing.items()
    }
