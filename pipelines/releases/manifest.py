"""`Release`: the version of every part that vectors depend on.

Plain Python: serving and Feast definitions read it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from encoders.errors import EncoderError
from encoders.heads.spec import HeadsSpec
from encoders.spec import EncoderSpec
from pipelines.errors import HomeVersionError, ReleaseDamagedError
from pipelines.tables.schema import Table

FORMAT = 1
FUSED_RECIPE = "fused/1"
_ENCODER_PARTS = ("clip", "review")
_MADE_PARTS = ("fused", "opinions", "tags")


@dataclass(frozen=True)
class Release:
    """A manifest. What is null does not exist yet.

    Attributes:
        name: "r1", "r2", …; never given twice.
        clip: encoder of pictures, videos, product text and queries.
        review: encoder of reviews and messages.
        fused_recipe: "name/version" of the recipe that makes one vector of all modalities.
        heads: heads on the encoder of reviews (sentiment, aspects); without them texts are not judged.
        tag_calibrations: what the tags rest on: under "definition" the catalogue and its calibration, which the home
            keeps as releases/tags-<definition>.json; without it there are no tags.
        serving_projection: version of the projection that large vectors are served through.
        index: version of the nearest-neighbour index.
    """

    name: str
    clip: EncoderSpec
    review: EncoderSpec
    fused_recipe: str = FUSED_RECIPE
    heads: HeadsSpec | None = None
    tag_calibrations: Mapping[str, str] | None = None
    serving_projection: str | None = None
    index: str | None = None

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9_]*", self.name):
            raise ValueError(f"a release is named in lower case letters, digits and _, not {self.name!r}")

    def encoder_for(self, depends_on: str) -> tuple[str, str]:
        """What stands in the columns `encoder` and `encoder_version` of a table that depends on a part.

        "fused" rests on its recipe and on every encoder: its version is the recipe's, followed by eight
        hex digits of the encoders' keys. Short, because it becomes part of table names, which databases
        cut at 63 characters. "opinions" are the heads', whose version implies their encoder's.
        """
        if depends_on in _ENCODER_PARTS:
            spec: EncoderSpec = getattr(self, depends_on)
            return spec.name, spec.version
        if depends_on == "fused":
            name, _, version = self.fused_recipe.partition("/")
            rests_on = "|".join([self.fused_recipe, self.clip.key, self.review.key])
            return name, f"{version}-{hashlib.sha256(rests_on.encode()).hexdigest()[:8]}"
        if depends_on == "opinions" and self.heads:
            return self.heads.name, self.heads.version
        if depends_on == "tags" and self.tag_calibrations:
            version = self.tags_definition.partition("-")[0]
            rests_on = f"{self.tags_definition}|{self.clip.key}|{self.heads.key if self.heads else ''}"
            return "tags", f"{version}-{hashlib.sha256(rests_on.encode()).hexdigest()[:8]}"
        raise ValueError(f"no part {depends_on!r} in release {self.name}; parts: {(*_ENCODER_PARTS, *_MADE_PARTS)}")

    def serves(self, table: Table) -> bool:
        """Whether the release has what a table depends on: without heads no opinions, without a definition no tags."""
        parts = {"opinions": self.heads, "tags": self.tag_calibrations}
        return parts.get(table.depends_on or "", "") is not None

    @property
    def tags_definition(self) -> str:
        """The id of the definition that the tags rest on. Raises ValueError where the release has none."""
        if self.tag_calibrations is None:
            raise ValueError(f"release {self.name} has no tags")
        return self.tag_calibrations["definition"]

    @property
    def encoders(self) -> dict[str, EncoderSpec]:
        """The encoders by the part they play."""
        return {part: getattr(self, part) for part in _ENCODER_PARTS}

    def rests_on(self, depends_on: str) -> tuple[EncoderSpec, ...]:
        """The encoders behind a table that depends on a part: its own, or all of them.

        Opinions are judged from reviews' vectors.
        """
        if depends_on == "opinions":
            return (self.review,)
        return (self.encoders[depends_on],) if depends_on in _ENCODER_PARTS else tuple(self.encoders.values())

    def to_json(self) -> str:
        """Indented JSON for a reviewer's eyes; equal releases give equal text."""
        values: dict[str, Any] = {"format": FORMAT}
        for field in fields(self):
            value = getattr(self, field.name)
            is_spec = isinstance(value, EncoderSpec | HeadsSpec)
            values[field.name] = json.loads(value.to_json()) if is_spec else value
        return json.dumps(values, ensure_ascii=False, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Release:
        """Inverse of `to_json`.

        Raises HomeVersionError for a newer format, ReleaseDamagedError for text that is no manifest.
        """
        try:
            values = json.loads(text)
            if values.pop("format") > FORMAT:
                raise HomeVersionError(
                    f"release {values.get('name')!r} was written by a newer version of this software; update it"
                )
            for part in _ENCODER_PARTS:
                values[part] = EncoderSpec.from_json(json.dumps(values[part]))
            if values.get("heads") is not None:
                values["heads"] = HeadsSpec.from_json(json.dumps(values["heads"]))
            return cls(**values)
        except (ValueError, TypeError, KeyError, AttributeError, EncoderError) as error:
            raise ReleaseDamagedError(f"not a release manifest ({error}); restore it from a backup") from error

    @property
    def checksum(self) -> str:
        """ "sha256:…" of `to_json`."""
        return "sha256:" + hashlib.sha256(self.to_json().encode()).hexdigest()

    @property
    def parts_checksum(self) -> str:
        """ "sha256:…" of what decides the features: equal in every home, whatever a release is called there.

        Where an encoder's files lie is no part of it, nor what is said of it.
        """
        values: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "name"}
        for part, spec in self.encoders.items():
            where = spec.uri if not spec.checksum else ""
            values[part] = [spec.key, spec.checksum, where, spec.dimensions, spec.modalities, spec.preprocessing]
        values["heads"] = [self.heads.key, self.heads.checksum] if self.heads else None
        text = json.dumps(values, ensure_ascii=False, sort_keys=True)
        return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def view_name(table: Table, purpose: str | None, release: Release) -> str:
    """Name of the feature view of a table, for a purpose, in a release.

    `<table>[_<purpose>]`, and where values depend on a part of the release, `_<encoder>_<version>`:
    `user_activity_marketing`, `user_visual_interest_personalisation_compact_clip_1`,
    `product_vectors_compact_clip_1`. Views without such a part are shared by all releases.
    """
    parts = [table.name, *([purpose] if purpose else [])]
    if table.depends_on:
        parts.extend(release.encoder_for(table.depends_on))
    return "_".join(re.sub(r"[^a-z0-9]+", "_", part.lower()).strip("_") for part in parts)
