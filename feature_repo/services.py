"""Feature services: one per use and release. The use's bare name is the default release's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from entities import OWNER
from feast import FeatureService, FeatureView, OnDemandFeatureView
from feast.labeling.label_view import LabelView

from pipelines.releases.manifest import Release, view_name
from pipelines.releases.model_uris import models_behind
from pipelines.tables import features as tables
from pipelines.tables.schema import Table


@dataclass(frozen=True)
class Use:
    """What a consumer does with features: of which histories, and for which purpose (None: no personal data)."""

    name: str
    description: str
    purpose: str | None
    histories: tuple[Table, ...]


USES = (
    Use(
        "recommendation",
        "What to show a user next: behaviour, tastes and intents in every modality.",
        "personalisation",
        (
            tables.USER_ACTIVITY,
            tables.USER_RECENT_PRODUCTS,
            tables.USER_VISUAL_INTEREST,
            tables.USER_VIDEO_INTEREST,
            tables.USER_TEXT_INTEREST,
            tables.USER_SEARCH_INTENT,
            tables.USER_REVIEW_INTEREST,
            tables.USER_FUSED,
        ),
    ),
    Use(
        "ranking",
        "In which order to show products to a user: numbers of both, and vectors that their similarities are made of.",
        "personalisation",
        (
            tables.USER_ACTIVITY,
            tables.USER_RECENT_PRODUCTS,
            tables.USER_VISUAL_INTEREST,
            tables.USER_VIDEO_INTEREST,
            tables.USER_TEXT_INTEREST,
            tables.USER_SEARCH_INTENT,
            tables.PRODUCT_ACTIVITY,
            tables.PRODUCT_VECTORS,
        ),
    ),
    Use(
        "marketing",
        "Whom to address and how: activity, value and how a user rates and writes.",
        "marketing",
        (tables.USER_ACTIVITY, tables.USER_VALUE, tables.USER_REVIEW_PROFILE, tables.USER_TAGS),
    ),
    Use(
        "profile",
        "What people read of a user: tags with their reasons, activity and value.",
        "personalisation",
        (tables.USER_TAGS, tables.USER_ACTIVITY, tables.USER_VALUE, tables.USER_REVIEW_PROFILE),
    ),
    Use(
        "risk",
        "Who may leave or be dissatisfied: activity, value, how a user rates and writes, and what the texts say.",
        "personalisation",
        (tables.USER_ACTIVITY, tables.USER_VALUE, tables.USER_REVIEW_PROFILE, tables.USER_OPINIONS),
    ),
    Use(
        "product_ranking",
        "How a product does, what is said of it and what it looks like.",
        None,
        (tables.PRODUCT_ACTIVITY, tables.PRODUCT_OPINIONS, tables.PRODUCT_VECTORS),
    ),
)


def feature_service(
    use: Use, release: Release, views: Mapping[str, FeatureView], name: str, models: Mapping[str, str]
) -> FeatureService:
    """A use's features, wholly of one release."""
    # The list's type is FeatureService's own; lists are invariant.
    chosen: list[FeatureView | OnDemandFeatureView | LabelView | str] = [
        views[view_name(table, use.purpose if table.purposes else None, release)]
        for table in use.histories
        if release.serves(table)
    ]
    tags = {"use": use.name, "release": release.name, "purpose": use.purpose or "none"}
    tags["release_parts"] = release.parts_checksum
    parts = {table.depends_on for table in use.histories if table.depends_on and release.serves(table)}
    for part in sorted(parts):
        tags[f"{part}_encoder"], tags[f"{part}_version"] = release.encoder_for(part)
        tags[f"{part}_models"] = models_behind(release, part, models)
    return FeatureService(name=name, features=chosen, description=use.description, owner=OWNER, tags=tags)


def feature_services(
    releases: Sequence[Release], default: Release, views: Mapping[str, FeatureView], models: Mapping[str, str]
) -> dict[str, FeatureService]:
    """Every service of the live releases, by name; `models` are MLflow's URIs by encoder key."""
    services = {}
    for use in USES:
        services[use.name] = feature_service(use, default, views, use.name, models)
        for release in releases:
            name = f"{use.name}_{release.name}"
            services[name] = feature_service(use, release, views, name, models)
    return services
