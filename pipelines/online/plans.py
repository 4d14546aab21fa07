"""How views are read: which features are wanted of which view, and what one read fetches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from feast import FeatureView

from pipelines.errors import FeatureNamesError
from pipelines.online.layout import RowSchema, field_id


@dataclass(frozen=True)
class ViewPlan:
    """How a view is read and which of its features are wanted. `ttl` in microseconds, 0 for none."""

    name: str
    label: str
    schema: RowSchema
    features: tuple[str, ...]
    ttl: int
    purpose: str | None
    join_key: str
    releases: tuple[str, ...]
    # The declared table that the rows come from, where it is one.
    table: str | None = None

    @cached_property
    def places(self) -> Mapping[str, int]:
        """Where each wanted feature stands among them."""
        return {name: i for i, name in enumerate(self.features)}

    @cached_property
    def numbers(self) -> tuple[str, ...]:
        """The wanted features of fixed width."""
        schema = self.schema
        return tuple(name for name in self.features if schema.positions[name] in schema.fixed)

    @cached_property
    def floats(self) -> tuple[str, ...]:
        """The numbers that are float64."""
        return tuple(name for name in self.numbers if self.schema.positions[name] in self.schema.floats)

    @cached_property
    def integers(self) -> tuple[str, ...]:
        """The numbers that are int64: integers, bools and instants."""
        return tuple(name for name in self.numbers if name not in self.floats)

    @cached_property
    def instants(self) -> frozenset[str]:
        """The wanted features that are moments."""
        kinds = {name: self.schema.features[self.schema.positions[name]][1] for name in self.features}
        return frozenset(name for name, kind in kinds.items() if kind == "instant")

    @cached_property
    def others(self) -> tuple[str, ...]:
        """The wanted features of variable width."""
        return tuple(name for name in self.features if name not in self.numbers)

    @cached_property
    def float_slots(self) -> slice | list[int]:
        """Where the floats lie among a row's values of fixed width."""
        return self._slots(self.floats)

    @cached_property
    def integer_slots(self) -> slice | list[int]:
        """The same of the integers."""
        return self._slots(self.integers)

    def _slots(self, numbers: tuple[str, ...]) -> slice | list[int]:
        found = [self.schema.slots[self.schema.positions[name]] for name in numbers]
        first = found[0] if found else 0
        # A slice, where they are neighbours, copies nothing.
        together = found == [*range(first, first + len(found))]
        return slice(first, first + len(found)) if together else found

    @classmethod
    def of(cls, view: FeatureView) -> ViewPlan:
        ttl = int(view.ttl.total_seconds() * 1e6) if view.ttl else 0
        schema = RowSchema.of(view)
        releases = tuple(r for r in view.tags.get("release", "").split(",") if r)
        names = tuple(schema.positions)
        [join_key] = view.join_keys
        tags = view.tags
        return cls(view.name, view.name, schema, names, ttl, tags.get("purpose"), join_key, releases, tags.get("table"))


@dataclass(frozen=True)
class ReadPlan:
    """What one read fetches: the views of a service, or of a list of features, all of one entity.

    `service` is the use ("recommendation"), None for a list. `purpose` is the service's, None where no person is
    concerned or each view has its own. Where a view has a purpose, `fields` ends with the consents' field.
    """

    service: str | None
    release: str | None
    purpose: str | None
    join_key: str
    views: tuple[ViewPlan, ...]
    consent: ViewPlan | None
    fields: tuple[bytes, ...] = field(init=False)

    def __post_init__(self) -> None:
        views = [*self.views, *([self.consent] if self.consent else [])]
        object.__setattr__(self, "fields", tuple(field_id(view.name) for view in views))

    @property
    def names(self) -> list[str]:
        """Every feature as `view__feature`, in order."""
        return [f"{view.label}__{name}" for view in self.views for name in view.features]

    def answer_names(self, full_feature_names: bool) -> list[str]:
        """The names that an answer carries. Raises FeatureNamesError where short names would be ambiguous."""
        if full_feature_names:
            return self.names
        short = [name for view in self.views for name in view.features]
        if len(set(short)) < len(short):
            twice = sorted({name for name in short if short.count(name) > 1})
            raise FeatureNamesError(f'several views have {", ".join(twice)}; ask with "full_feature_names": true')
        return short


@dataclass(frozen=True)
class RankingPlan:
    """A service of users' and products' views: what is read of the user, numbers of products, their vectors."""

    user: ReadPlan
    products: ReadPlan
    vectors: ReadPlan

    @property
    def release(self) -> str | None:
        """What all three are of."""
        return self.user.release
