"""Why a user has the tags that they have. Reads what serving and training read; no Spark, no torch."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from pipelines.errors import SettingsError, TagsUnavailableError
from pipelines.identity.subject_keys import subject_key
from pipelines.releases.known_rows import known_rows
from pipelines.releases.manifest import Release
from pipelines.releases.pin import live_release
from pipelines.serving.online import UserFeatures, read_features
from pipelines.settings import Settings
from pipelines.tables.features import USER_TAGS
from pipelines.tags.catalogue import Tag
from pipelines.tags.definition import Definition, definition_of

# The service through which each purpose's tags are read.
SERVICES = {"personalisation": "profile", "marketing": "marketing"}
_COLUMNS = ("tags", "confidences", "evidence")


@dataclass(frozen=True)
class Reason:
    """A tag of a user. `value` is what a preference is for; `calibrated_on` how many truths its confidence rests on."""

    tag: str
    value: str | None
    definition: Tag
    value_names: dict[str, str]
    confidence: float
    calibrated_on: int
    evidence: dict[str, Any]


@dataclass(frozen=True)
class Explanation:
    """A user's tags, surest first, as they were at `event_timestamp` (None: nothing is known of the user)."""

    user_id: str
    purpose: str
    release: str
    definition: str
    event_timestamp: datetime | None
    reasons: tuple[Reason, ...]

    def to_json(self) -> str:
        def plain(reason: Reason) -> dict[str, Any]:
            of = reason.definition
            return asdict(reason) | {"definition": of.model_dump(mode="json", include=_SAID)}

        at = self.event_timestamp and self.event_timestamp.isoformat()
        values = asdict(self) | {"event_timestamp": at, "reasons": [plain(reason) for reason in self.reasons]}
        return json.dumps(values, ensure_ascii=False)


_SAID = {"id", "group", "name", "definition", "version", "owner", "threshold"}


def explain(
    settings: Settings,
    user_id: str,
    *,
    kind: str = "user",
    purpose: str = "personalisation",
    release: str | None = None,
    prefix: str = "",
    as_of: datetime | None = None,
) -> Explanation:
    """The tags whose id begins with `prefix`: those served now, or those of the history at `as_of` (aware).

    Raises UnknownUserError; TagsUnavailableError where the user does not allow the purpose now, or the release has no
    tags; SettingsError for a purpose without tags.
    """
    if purpose not in SERVICES:
        raise SettingsError(f"no tags are made for the purpose {purpose!r}; there are {', '.join(SERVICES)}")
    of = live_release(settings, release)
    if not of.serves(USER_TAGS):
        raise TagsUnavailableError(f"release {of.name} was made before there were tags; promote one that has them")
    served = read_features(settings, user_id, SERVICES[purpose], release=release, kind=kind)
    if purpose not in served.consents:
        raise TagsUnavailableError(f"{kind} '{user_id}' does not allow {purpose}")
    if as_of is None:
        at, lists = _served(served)
    else:
        at, lists = _as_of(settings, of, subject_key(kind, user_id, settings), purpose, as_of)
    definition = definition_of(settings, of)
    reasons = (
        _reason(definition, tag, confidence, evidence)
        for tag, confidence, evidence in zip(*lists, strict=True)
        if tag.startswith(prefix)
    )
    return Explanation(user_id, purpose, of.name, definition.id, at, tuple(reasons))


Lists = tuple[list[str], list[float], list[str]]
_NOTHING: Lists = ([], [], [])


def _served(found: UserFeatures) -> tuple[datetime | None, Lists]:
    values = {f.name: f for f in found.features if f.view.startswith(USER_TAGS.name) and f.name in _COLUMNS}
    if any(feature.status != "present" for feature in values.values()):
        return None, _NOTHING
    tags, confidences, evidence = (values[name].value for name in _COLUMNS)
    assert isinstance(tags, list)
    assert isinstance(confidences, list)
    assert isinstance(evidence, list)
    lists = ([str(tag) for tag in tags], [float(c) for c in confidences], [str(text) for text in evidence])
    return values["tags"].event_timestamp, lists


def _as_of(
    settings: Settings, release: Release, key: str, purpose: str, moment: datetime
) -> tuple[datetime | None, Lists]:
    columns = (*_COLUMNS, "event_timestamp")
    [found] = known_rows(settings, release, USER_TAGS, [key], moment, columns, purpose=purpose)
    if found["tags"] is None:
        return None, _NOTHING
    return found["event_timestamp"], (found["tags"], found["confidences"], found["evidence"])


def _reason(definition: Definition, name: str, confidence: float, evidence: str) -> Reason:
    identifier, _, value = name.partition(":")
    tag = next(tag for tag in definition.catalogue.tags if tag.id == identifier)
    facet = definition.catalogue.facets.get(tag.facet or "")
    named = facet.values.get(value) if facet else None
    names = named.name.model_dump() if named else {"zh": value, "en": value}
    curve = definition.curves.get(identifier)
    positives = curve.positives if curve else 0
    return Reason(name, value or None, tag, names if value else {}, confidence, positives, json.loads(evidence))
