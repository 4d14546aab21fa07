"""One id's features for people and small programs. Runs without pyspark and torch."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

from pipelines.errors import UnknownUserError
from pipelines.identity.subject_keys import USER
from pipelines.online.blocks import IS_PRESENT, Block
from pipelines.online.reader import Answer, OnlineReader
from pipelines.online.values import instant
from pipelines.settings import Settings

Status = Literal["present", "null", "not_found", "outside_ttl", "no_consent"]
# By the numbers of pipelines/online/blocks.py.
_STATUSES: tuple[Status, ...] = ("not_found", "present", "null", "not_found", "outside_ttl", "no_consent")
FeatureValue = bool | int | float | str | datetime | list[float] | list[str] | None


class Feature(BaseModel):
    """One feature's value.

    `status`: present; null, the value is not known (never a default that looks like data); not_found, nothing was
    ever materialised of the id in this view; outside_ttl, it is older than the view's ttl; no_consent, the subject
    does not allow the service's purpose.
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


def read_features(
    settings: Settings,
    identifier: str,
    service: str = "recommendation",
    release: str | None = None,
    kind: str = USER,
) -> UserFeatures:
    """Features of a user, of a device (`kind` "device"), or of a product where the service is about products.

    For more than one reading keep an `OnlineReader`. Raises UnknownUserError, UnknownServiceError,
    UnknownReleaseError, OnlineStoreError.
    """
    reader = OnlineReader(settings)
    answer = reader.read([identifier], service, release=release, kind=kind)
    if answer.consents[0] is None and not any(block.times[0] for block in answer.blocks):
        who = kind if answer.plan.join_key == "user_id" else "product"
        raise UnknownUserError(
            f"no features are stored for {who} '{identifier}'; check the id, or bring the store up to date: "
            f"mmfs materialise --home {settings.home}"
        )
    return user_features(answer, 0, reader.default)


def user_features(answer: Answer, place: int, default_consents: frozenset[str]) -> UserFeatures:
    """What an answer says of the id at a place."""
    plan, stored = answer.plan, answer.consents[place]
    consents = stored if stored is not None else default_consents if plan.consent else frozenset()
    return UserFeatures(
        user_id=answer.ids[place],
        service=plan.service or "",
        release=plan.release or "",
        purpose=plan.purpose,
        consents=sorted(consents),
        features=[feature for block in answer.blocks for feature in _features(block, place)],
    )


def _features(block: Block, place: int) -> Iterator[Feature]:
    micros = int(block.times[place])
    at = instant(micros) if micros else None
    for i, name in enumerate(block.plan.features):
        status = int(block.statuses[place, i])
        value = block.values(name)[place] if status == IS_PRESENT else None
        if value is not None and block.kind(name) == "instant":
            value = instant(value)
        yield Feature(view=block.plan.label, name=name, value=value, event_timestamp=at, status=_STATUSES[status])
