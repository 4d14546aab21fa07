"""The tag catalogue: one YAML file that a person reviews. Plain Python, no Spark.

`facets` and `topics` say what a product or a search can be about, `tags` what is said of a user who cares for it or
whose features meet conditions. Adding a tag needs no code.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal, Self

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)

from pipelines.errors import TagCatalogueError
from pipelines.releases.model_uris import REGISTERED
from pipelines.settings import Purpose
from pipelines.tables.features import HISTORIES

_ID = r"^[a-z][a-z0-9_]*(\.[a-z0-9_]+)*$"
_MODEL = f"^{REGISTERED}$"
_NUMBERS = frozenset({"bigint", "int", "double", "float"})


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Words(_Part):
    """A name in both languages."""

    zh: str
    en: str


class Value(_Part):
    """One value of a facet, or a topic: the words that name it in titles, attributes and searches, and what a picture
    of it would be called (`prompts`)."""

    name: Words
    words: tuple[str, ...] = ()
    prompts: tuple[str, ...] = ()


class Topic(Value):
    """What a product or a search may be about, by words or by picture. `contrast` are captions of what it is not."""

    contrast: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _can_be_recognised(self) -> Self:
        if not self.words and not self.prompts:
            raise ValueError("a topic needs words or prompts, or nothing would ever be about it")
        if self.prompts and not self.contrast:
            raise ValueError("prompts need contrast: captions of what the topic is not")
        return self


class Facet(_Part):
    """A property of which a product has one value: a column, an attribute, or the third of its category's prices.

    Without `values` they are what the column or attribute says. With them, a product whose attribute is silent is
    judged by the words of its title and description, then by its picture.
    """

    column: Literal["category", "brand"] | None = None
    attributes: tuple[str, ...] = ()
    computed: Literal["price_third"] | None = None
    values: dict[str, Value] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _has_one_source(self) -> Self:
        if sum(map(bool, (self.column, self.attributes, self.computed))) != 1:
            raise ValueError("a facet is taken from one of column, attributes, computed")
        return self


class Condition(_Part):
    """A feature, or its ratio to another (`over`), against bounds. An instant counts as its age in days.
    `seen.<key>.<figure>` and `rhythm.missed_days` are made of others: see docs/tags.md.

    `scale` is the distance from a bound at which the condition is as good as certain; default: a quarter of the bound,
    at least 1e-9. A feature that is null leaves the condition unmet.
    """

    feature: str
    over: str | None = None
    at_least: float | None = None
    at_most: float | None = None
    scale: Annotated[float, Field(gt=0)] | None = None

    @model_validator(mode="after")
    def _is_bounded(self) -> Self:
        if self.at_least is None and self.at_most is None:
            raise ValueError(f"{self.feature}: give at_least, at_most or both")
        return self

    @property
    def features(self) -> tuple[str, ...]:
        return (self.feature, self.over) if self.over else (self.feature,)


class Tag(_Part):
    """What is said of a user.

    Exactly one of: `facet` (one tag per value the user prefers), `topic`, `model` (`models:/churn/3` or
    `models:/churn@serving`: a registered consumer of accounts, whose probability is the confidence), or conditions
    (`all_of`, or `some_of` of which `at_least` must hold). `threshold` is the least confidence at which the tag is
    given. `among` says whom a model is asked about: those who meet all of it, as whom it learned from did.
    """

    id: Annotated[str, Field(pattern=_ID)]
    group: str
    name: Words
    definition: Words
    owner: str
    version: int = Field(1, ge=1)
    purposes: tuple[Purpose, ...] = ("personalisation", "marketing")
    ttl_days: int | None = Field(None, gt=0)
    threshold: float = Field(0.5, gt=0, lt=1)
    facet: str | None = None
    topic: str | None = None
    model: Annotated[str, Field(pattern=_MODEL)] | None = None
    among: tuple[Condition, ...] = ()
    all_of: tuple[Condition, ...] = ()
    some_of: tuple[Condition, ...] = ()
    at_least: int = Field(1, ge=1)

    @model_validator(mode="after")
    def _has_one_kind(self) -> Self:
        if sum(map(bool, (self.facet, self.topic, self.model, self.all_of or self.some_of))) != 1:
            raise ValueError(f"tag {self.id}: give one of facet, topic, model, conditions (all_of, some_of)")
        if self.among and not self.model:
            raise ValueError(f"tag {self.id}: among says whom a model is asked about, and there is no model")
        if self.some_of and self.at_least > len(self.some_of):
            raise ValueError(f"tag {self.id}: at_least is {self.at_least} of {len(self.some_of)} conditions")
        return self

    @model_serializer(mode="wrap")
    def _plain(self, handler: SerializerFunctionWrapHandler) -> dict[str, object]:
        """Without `model` and `among` where there are none: catalogues of before there were models keep their ids."""
        values: dict[str, object] = handler(self)
        return {name: value for name, value in values.items() if value or name not in {"model", "among"}}

    @property
    def kind(self) -> Literal["preference", "model", "rule"]:
        if self.facet or self.topic:
            return "preference"
        return "model" if self.model else "rule"

    @property
    def conditions(self) -> tuple[Condition, ...]:
        return (*self.all_of, *self.some_of, *self.among)


class Catalogue(_Part):
    """The whole file. `half_life_days` is how fast what a user did stops to count for preferences."""

    version: int = Field(ge=1)
    half_life_days: float = Field(90.0, gt=0)
    facets: dict[str, Facet] = Field(default_factory=dict)
    topics: dict[str, Topic] = Field(default_factory=dict)
    tags: tuple[Tag, ...]

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        ids = [tag.id for tag in self.tags]
        twice = sorted({tag for tag in ids if ids.count(tag) > 1})
        if twice:
            raise ValueError(f"tags defined twice: {', '.join(twice)}")
        for tag in self.tags:
            if tag.facet and tag.facet not in self.facets:
                raise ValueError(f"tag {tag.id}: there is no facet {tag.facet!r}")
            if tag.topic and tag.topic not in self.topics:
                raise ValueError(f"tag {tag.id}: there is no topic {tag.topic!r}")
            for condition in tag.conditions:
                for feature in condition.features:
                    self._require_known(tag, feature)
        return self

    def _require_known(self, tag: Tag, feature: str) -> None:
        table, _, name = feature.partition(".")
        if table == "seen":
            key, _, figure = name.rpartition(".")
            if figure not in SEEN_FIGURES or not self.is_about(key):
                raise ValueError(
                    f"tag {tag.id}: {feature!r} is none of seen.<facet>:<value>.<figure> or "
                    f"seen.<topic>.<figure>, with a figure of {', '.join(SEEN_FIGURES)}"
                )
        elif feature != MISSED_DAYS and name not in FEATURES.get(table, {}):
            there = f"; {table} has {', '.join(FEATURES[table])}" if table in FEATURES else ""
            raise ValueError(f"tag {tag.id}: there is no feature {feature!r}{there}")

    def is_about(self, key: str) -> bool:
        """Whether a product can be about it: a topic, or a value of a facet."""
        facet, colon, value = key.partition(":")
        if not colon:
            return key in self.topics
        known = self.facets.get(facet)
        return known is not None and (not known.values or value in known.values or known.computed is not None)

    def features_of(self, table: str) -> list[str]:
        """The features of a history that conditions look at, in order."""
        return sorted(set(self._asked(table)))

    def seen_keys(self) -> list[str]:
        """What conditions ask of the products that users looked at: keys as of `is_about`, in order."""
        return sorted({name.rpartition(".")[0] for name in self._asked("seen")})

    def _asked(self, table: str) -> Iterator[str]:
        for tag in self.tags:
            for condition in tag.conditions:
                for feature in condition.features:
                    for needed in _MADE_OF.get(feature, (feature,)):
                        of, _, name = needed.partition(".")
                        if of == table:
                            yield name


# Of what was seen about a topic or value: see `pipelines.tags.preferences.Seen`.
SEEN_FIGURES = ("share", "lift", "products", "actions_14d", "actions_before", "purchases", "searches")
# Days on which somebody of this rhythm would have come since the last act: its age x active days a day.
MISSED_DAYS = "rhythm.missed_days"
_MADE_OF = {MISSED_DAYS: ("user_activity.last_event_at", "user_activity.active_days_90d")}
FEATURES: dict[str, dict[str, str]] = {
    table.name: {c.name: c.type for c in table.feature_columns if c.type in _NUMBERS or c.type == "timestamp"}
    for table in HISTORIES
    if table.entity == "user" and table.depends_on in {None, "opinions"}
}
OF_NO_ENCODER = tuple(t.name for t in HISTORIES if t.name in FEATURES and t.depends_on is None)


def read_catalogue(path: Path) -> Catalogue:
    """Raises TagCatalogueError, with everything that is wrong."""
    try:
        return catalogue_of(path.read_text(encoding="utf-8"), str(path))
    except OSError as error:
        raise TagCatalogueError(f"tag catalogue {path} cannot be read: {error.strerror}") from error


def catalogue_of(text: str, source: str) -> Catalogue:
    """A catalogue from YAML (or JSON). Raises TagCatalogueError, which names `source`."""
    try:
        values = yaml.safe_load(text)
        return Catalogue.model_validate(values)
    except yaml.YAMLError as error:
        raise TagCatalogueError(f"tag catalogue {source} is no YAML: {error}") from error
    except ValidationError as error:
        faults = "; ".join(_fault(fault["loc"], fault["msg"]) for fault in error.errors())
        raise TagCatalogueError(f"tag catalogue {source}: {faults}") from error


def _fault(place: tuple[int | str, ...], message: str) -> str:
    where = ".".join(map(str, place))
    said = message.removeprefix("Value error, ")
    return f"{where}: {said}" if where else said
