"""All configuration, in one validated object. Nothing else reads the environment."""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from pipelines.errors import SettingsError

Purpose = Literal["personalisation", "marketing", "research"]
PURPOSES: tuple[Purpose, ...] = ("personalisation", "marketing", "research")
Decision = Literal["allow", "deny"]

PROJECT_ROOT = Path(__file__).resolve().parents[1]


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class ConsentDefaults(BaseModel):
    """What holds for a purpose while nothing is known of a subject's will."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    personalisation: Decision = "deny"
    marketing: Decision = "deny"
    research: Decision = "deny"


class ServeSettings(BaseModel):
    """Of `mmfs serve`. Limits are those of one worker."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    max_body_bytes: int = Field(1_000_000, gt=0, description="Larger request bodies are refused.")
    max_batch: int = Field(1000, gt=0, description="Most ids in one request.")
    requests_per_second: float = Field(5000, gt=0, description="Of one API key, on average over a second.")
    max_in_flight: int = Field(64, gt=0, description="More requests at a time are refused.")
    deadline_seconds: float = Field(3.0, gt=0, description="Longest time for a body to arrive, and for an answer.")
    threads: int = Field(4, gt=0, description="Requests that are worked on at a time.")
    refresh_seconds: float = Field(
        30.0, gt=0, description="How often definitions are read anew where the online store told of no change."
    )
    kept_products: int = Field(
        20_000, gt=0, description="Products whose vectors are kept in memory for ranking, 6 KB each at 512 dimensions."
    )
    kept_seconds: float = Field(30.0, ge=0, description="How long a product's vectors are kept before they are read.")
    log_share: float = Field(0.0, ge=0, le=1, description="Share of answers that are logged (docs/online.md).")
    log_waiting_ids: int = Field(
        5000, gt=0, description="Most ids whose answers wait to be logged; further answers are not."
    )
    log_seconds: float = Field(10.0, gt=0, description="How long answers may wait until they are written to a file.")
    shared_metrics: Path | None = Field(
        None, description="Folder in which workers share figures; `mmfs serve` sets it."
    )


class Settings(BaseSettings):
    """Settings of every command, each an environment variable `MMFS_<NAME>`.

    Nested settings use a double underscore: `MMFS_CONSENT_DEFAULT__PERSONALISATION=allow`.
    """

    model_config = SettingsConfigDict(env_prefix="MMFS_", env_nested_delimiter="__", frozen=True, extra="ignore")

    home: str = Field("mmfs-home", description="Folder or Hadoop-readable URI under which all state lives.")
    cache_dir: Path = Field(
        PROJECT_ROOT / ".cache",
        validation_alias=AliasChoices("cache_dir", "MMFS_CACHE"),
        description="Jars, built encoders and other things that set-up makes once.",
    )
    cores: int = Field(default_factory=_cores, ge=1, description="Cores of a local Spark session.")
    driver_memory: str = Field("3g", description="Memory of a local Spark session's JVM.")
    subject_hmac_key: SecretStr | None = Field(
        None, description="When set, subject keys are HMAC-SHA256 of the shop's ids under this key."
    )
    consent_default: ConsentDefaults = Field(default_factory=ConsentDefaults)
    currency: str | None = Field(
        None, description="ISO 4217 code that spend is summed in; unset: the shop has one currency."
    )
    discount_attributes: Annotated[tuple[str, ...], NoDecode] = Field(
        ("discount", "retail_disc", "coupon_disc", "coupon_match_disc"),
        description="Event attributes that hold a purchase line's discounts.",
    )
    source_delay_seconds: int = Field(
        0, ge=0, description="How long after its own timestamp a row of a first load could be known."
    )
    media_allow: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="URI prefixes from which media with absolute URIs may be read."
    )
    clip_encoder: str = Field("bundled:compact-clip", description="URI of the image-and-text encoder.")
    review_encoder: str = Field("bundled:e5-small", description="URI of the review encoder.")
    clip_encoder_dimensions: int | None = Field(None, gt=0, description="Declared length of its vectors; checked.")
    review_encoder_dimensions: int | None = Field(
        None, gt=0, description="Declared length of its vectors; checked. Needed for a model that is only named."
    )
    tag_catalogue: Path | None = Field(
        None, description="The tag catalogue of the home's first release; unset: the one provided."
    )
    mlflow_tracking_uri: str | None = Field(
        None, description="MLflow server or database; unset: SQLite under the home."
    )
    mlflow_artifacts: str | None = Field(
        None, description="URI of MLflow's artifacts (s3://…), where no server keeps them; unset: under the home."
    )
    feast_config: str = Field(
        "feature_store.yaml",
        description="Feast configuration in feature_repo/: feature_store.yaml or feature_store.redis.yaml.",
    )
    redis: str = Field("localhost:6379", description="Redis of feature_store.redis.yaml: host:port and options.")
    sql_registry: str = Field(
        "", description="SQLAlchemy URL of Feast's registry in feature_store.redis.yaml; unset: SQLite under the home."
    )
    retired_release_days: int = Field(
        30, ge=0, description="How long the rows of a retired release stay in Delta before they are deleted."
    )
    api_keys: SecretStr | None = Field(
        None, description="Who may ask `mmfs serve`: name:key pairs separated by commas, keys of 16 characters or more."
    )
    authenticate: bool = Field(True, description="Whether `mmfs serve` asks for an API key, on every route.")
    serve: ServeSettings = Field(default_factory=ServeSettings)
    answer_days: int = Field(30, gt=0, description="How long logged answers are kept.")

    @field_validator("discount_attributes", "media_allow", mode="before")
    @classmethod
    def _split_commas(cls, value: object) -> object:
        return tuple(p.strip() for p in value.split(",") if p.strip()) if isinstance(value, str) else value

    @cached_property
    def local_home(self) -> Path | None:
        """The home as a local folder, or None where it is a remote URI."""
        if "://" in self.home and not self.home.startswith("file://"):
            return None
        return Path(self.home.removeprefix("file://")).expanduser().resolve()

    def under_home(self, *parts: str) -> str:
        """An absolute path or URI below the home."""
        base = str(self.local_home) if self.local_home else self.home.rstrip("/")
        return "/".join([base, *parts])


def load_settings(**overrides: object) -> Settings:
    """Settings from the environment, with the given values in front; None and "" give nothing.

    Raises SettingsError naming the variable that cannot be used.
    """
    try:
        return Settings(**{k: v for k, v in overrides.items() if v not in (None, "")})  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors()[0]
        name = "MMFS_" + "__".join(str(p) for p in first["loc"]).upper()
        raise SettingsError(f"setting {name}: {first['msg']}; given: {first['input']!r}") from error
