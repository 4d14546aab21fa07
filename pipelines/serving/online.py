"""Reading features by id. Runs without pyspark and torch."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Literal

from feast import FeatureService, FeatureStore
from feast.protos.feast.types.Value_pb2 import Value
from feast.type_map import feast_value_type_to_python_type
from pydantic import BaseModel, ConfigDict

from pipelines.errors import UnknownUserError
from pipelines.governance.home import open_home
from pipelines.identity.subject_keys import subject_key
from pipelines.releases.pin import read_pin
from pipelines.serving.protos import entity_key
from pipelines.serving.repo import feature_store, find_service
from pipelines.settings import PURPOSES, Settings
from pipelines.tables.features import USER_CONSENT

Status = Literal["present", "null", "not_found", "no_consent"]
FeatureValue = bool | int | float | str | datetime | list[float] | list[str] | None


class Feature(BaseModel):
    """One feature's value.

    `status`: present; null, the value is not known (never a default that looks like data); not_found, nothing was
    ever materialised of the id in this view; no_consent, the subject does not allow the service's purpose.
    """

    model_config = ConfigDict(frozen=True)
    view: str
    name: str
    value: FeatureValue
    event_timestamp: datetime | None
    status: Status


class UserFeatures(BaseModel):
    """What a service gets for one id, wholly of one release. Instants are aware and UTC."""

    model_config = ConfigDict(frozen=True)
    user_id: str
    service: str
    release: str
    purpose: str | None
    consents: list[str]
    features: list[Feature]

    def value(self, view_prefix: str, name: str) -> FeatureValue:
        """Value of the first feature of that name in a view whose name starts so; KeyError where there is none."""
        for feature in self.features:
            if feature.name == name and feature.view.startswith(view_prefix):
                return feature.value
        raise KeyError(f"{view_prefix}*:{name}")


class OnlineReader:
    """Keeps the registry and the online store open: for processes that read more than once."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        open_home(settings, create=False)
        read_pin(settings)
        self._feast: FeatureStore = feature_store(settings, offline=False)

    def read(
        self, identifier: str, service: str = "recommendation", release: str | None = None, kind: str = "user"
    ) -> UserFeatures:
        """Features of a user, of a device (`kind` "device"), or of a product where the service is about products.

        Raises UnknownUserError, UnknownServiceError, UnknownReleaseError.
        """
        found = find_service(self._feast, self.settings, service, release)
        purpose = found.tags["purpose"] if found.tags["purpose"] != "none" else None
        if purpose is None:
            consents, features = [], self._features(found, "product_id", identifier, allowed=True)
            known = False
        else:
            key = subject_key(kind, identifier, self.settings) if identifier else identifier
            stored = self._stored_consents(key)
            consents = stored if stored is not None else self._default_consents()
            features = self._features(found, "user_id", key, allowed=purpose in consents)
            known = stored is not None
        if not known and all(f.event_timestamp is None for f in features):
            raise UnknownUserError(self._nothing_known(identifier, kind if purpose else "product"))
        return UserFeatures(
            user_id=identifier,
            service=found.tags["use"],
            release=found.tags["release"],
            purpose=purpose,
            consents=consents,
            features=features,
        )

    def _stored_consents(self, key: str) -> list[str] | None:
        """What the subject allows; None for one that materialisation has never met."""
        _, values = self._row(USER_CONSENT.name, "user_id", key, ["purposes"])
        return list(values["purposes"].string_list_val.val) if values else None

    def _default_consents(self) -> list[str]:
        return [p for p in PURPOSES if getattr(self.settings.consent_default, p) == "allow"]

    def _features(self, service: FeatureService, join_key: str, key: str, *, allowed: bool) -> list[Feature]:
        features = []
        for projection in service.feature_view_projections:
            names = [field.name for field in projection.features]
            at, values = self._row(projection.name, join_key, key, names)
            for name in names:
                value, status = _judge(values, name, allowed=allowed)
                features.append(
                    Feature(view=projection.name, name=name, value=value, event_timestamp=at, status=status)
                )
        return features

    def _row(
        self, view: str, join_key: str, key: str, names: list[str]
    ) -> tuple[datetime | None, dict[str, Value] | None]:
        # Not get_online_features: it calls an unknown id PRESENT, with nulls.
        feature_view = self._feast.get_feature_view(view)
        [(at, values)] = self._feast._get_provider().online_read(
            self._feast.config, feature_view, [entity_key(join_key, key)], names
        )
        # Of a view without the entity Redis answers with the epoch, SQLite with nothing.
        return (at.astimezone(UTC), values) if at and values and at.timestamp() > 0 else (None, None)

    def _nothing_known(self, identifier: str, kind: str) -> str:
        return (
            f"no features are stored for {kind} '{identifier}'; check the id, or bring the store up to date: "
            f"mmfs materialise --home {self.settings.home}"
        )


def read_features(
    settings: Settings,
    identifier: str,
    service: str = "recommendation",
    release: str | None = None,
    kind: str = "user",
) -> UserFeatures:
    """One reading, see `OnlineReader.read`."""
    return OnlineReader(settings).read(identifier, service, release, kind)


def _judge(values: dict[str, Value] | None, name: str, *, allowed: bool) -> tuple[FeatureValue, Status]:
    if not allowed:
        return None, "no_consent"
    if values is None or name not in values:
        return None, "not_found"
    value = _python_value(values[name])
    return value, "null" if value is None else "present"


def _python_value(value: Value) -> Any:
    if value.WhichOneof("val") == "unix_timestamp_val":
        return datetime.fromtimestamp(value.unix_timestamp_val, UTC)
    return feast_value_type_to_python_type(value)
