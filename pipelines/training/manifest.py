"""What a training set was made from: enough to make it again, or to say why that is no longer possible."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
from feast import FeatureService, FeatureView
from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from pipelines.errors import ReplayRefusedError
from pipelines.point_in_time.history_plan import HistoryView
from pipelines.serving.delta_source import FEATURE_TABLES
from pipelines.settings import Settings
from pipelines.tables.arrow_types import arrow_schema
from pipelines.tables.schema import CREATED_AT, EVENT_TIMESTAMP
from pipelines.training.feature_views import delta_source_of
from pipelines.training.ranking_rows import is_number

FORMAT = 2


class ViewPart(BaseModel):
    """A feature view of a training set. `delta_version` is -1 where its table did not exist, None: not read yet."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    table: str
    partition: dict[str, str]
    features: list[str]
    ttl_seconds: float
    delta_version: int | None = None

    @classmethod
    def of(cls, view: FeatureView, *, numbers_only: bool = False) -> ViewPart:
        """With `numbers_only` as rows of a ranking service have the view."""
        source = delta_source_of(view)
        ttl = view.ttl.total_seconds() if view.ttl else 0.0
        types = {column.name: column.type for column in source.declared_table.columns}
        names = [f.name for f in view.features if not numbers_only or is_number(types[f.name])]
        return cls(table=source.declared_table.name, partition=source.partition, features=names, ttl_seconds=ttl)

    @property
    def join_key(self) -> str:
        return FEATURE_TABLES[self.table].join_key

    def history(self, name: str, settings: Settings, more: Sequence[str] = ()) -> HistoryView:
        """The view as the join sees it, with its features and `more`, named `<view>__<feature>`."""
        table, join_key = FEATURE_TABLES[self.table], self.join_key
        return HistoryView(
            name=name,
            location=table.location(settings.under_home()),
            keys=((join_key, join_key),),
            event_timestamp=EVENT_TIMESTAMP.name,
            created_at=CREATED_AT.name,
            features=tuple((feature, f"{name}__{feature}") for feature in (*self.features, *more)),
            ttl=timedelta(seconds=self.ttl_seconds),
            where=self.partition,
            version=self.delta_version,
            schema=arrow_schema(table),
        )


class Manifest(BaseModel):
    """Beside every training set as JSON. Names of people are not in it.

    `as_of` is when consent was looked at, `consent_versions` are the Delta versions of the tables that decided whose
    rows were withheld; `encoders` what the service's tags say of them, MLflow's URIs among it; `release_parts` the
    checksum of what the release is made of, whatever its name; `keyed` that the entity file's ids were subject keys
    already. Checksums are `sha256:…` of the files' bytes, `checksum` is the manifest's own.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    format: int = FORMAT
    service: str
    release: str
    release_parts: str
    purpose: str
    as_of: AwareDatetime
    join_key: str
    keyed: bool = False
    rows: int
    entities: int
    entities_without_consent: int
    rows_without_consent: int
    entity_file_checksum: str
    file_format: str
    # The version of the similarities that rows of a ranking service end with.
    similarities: int | None = None
    encoders: dict[str, str]
    views: dict[str, ViewPart]
    consent_versions: dict[str, int | None]
    written_by: str = f"pyarrow {pa.__version__}"
    file_checksum: str = ""
    checksum: str = ""

    def text(self) -> str:
        """JSON, with its own checksum."""
        return self.model_copy(update={"checksum": self.own_checksum}).model_dump_json(indent=2) + "\n"

    @property
    def own_checksum(self) -> str:
        """ "sha256:…" of everything else in it."""
        rest = self.model_dump_json(exclude={"checksum"})
        return f"sha256:{hashlib.sha256(rest.encode()).hexdigest()}"


def encoders_of(service: FeatureService) -> dict[str, str]:
    """`<part>_encoder`, `<part>_version` and `<part>_models` (MLflow's URIs) of the service's release."""
    return {name: value for name, value in service.tags.items() if name.endswith(("_encoder", "_version", "_models"))}


def with_versions(views: Mapping[str, ViewPart], versions: Mapping[str, int]) -> dict[str, ViewPart]:
    """The views at the versions that were read."""
    return {name: part.model_copy(update={"delta_version": versions[name]}) for name, part in views.items()}


def read_manifest(path: Path) -> Manifest:
    """Raises ReplayRefusedError where there is none, it was changed, or it is not one that this version reads."""
    try:
        found = Manifest.model_validate_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ReplayRefusedError(f"no manifest at {path}; it lies beside the training set it is of") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise ReplayRefusedError(f"{path} is not a manifest of format {FORMAT}: {place} {first['msg']}") from error
    except UnicodeDecodeError as error:
        raise ReplayRefusedError(f"{path} is not a manifest: {error}") from error
    if found.format != FORMAT:
        raise ReplayRefusedError(f"{path} is a manifest of format {found.format}, this version reads {FORMAT}")
    if found.checksum != found.own_checksum:
        raise ReplayRefusedError(f"{path} was changed since it was written: its checksum differs")
    for name, part in found.views.items():
        columns = FEATURE_TABLES[part.table].column_names if part.table in FEATURE_TABLES else ()
        if gone := [feature for feature in part.features if feature not in columns]:
            raise ReplayRefusedError(f"view {name}: this version has no {part.table}.{gone[0]}")
    return found
