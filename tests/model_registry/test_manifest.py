"""The manifest says every version a vector stands on, survives JSON and names views."""

from __future__ import annotations

import dataclasses
import json

import pytest

from encoders.heads.spec import HeadsSpec
from encoders.spec import EncoderSpec
from pipelines.errors import HomeVersionError, ReleaseDamagedError
from pipelines.releases.manifest import Release, view_name
from pipelines.settings import PURPOSES
from pipelines.tables import HISTORIES
from pipelines.tables.features import (
    PRODUCT_VECTORS,
    USER_ACTIVITY,
    USER_FUSED,
    USER_OPINIONS,
    USER_VISUAL_INTEREST,
)


def _spec(name: str, version: str = "1", dimensions: int = 512) -> EncoderSpec:
    return EncoderSpec(
        name=name,
        version=version,
        uri=f"bundled:{name}",
        modalities=("image", "text"),
        dimensions=dimensions,
        checksum=f"sha256:{name}{version}",
        licence="Apache-2.0",
        preprocessing={"size": 224, "mean": [0.5, 0.5, 0.5]},
        description="图文编码器",
    )


HEADS = HeadsSpec("e5-small-heads", "2", "bundled:e5-small", "sha256:2", "sha256:e5-small1")


@pytest.fixture
def release() -> Release:
    return Release("r1", clip=_spec("compact-clip"), review=_spec("e5-small", dimensions=384))


def test_json_round_trip_keeps_everything(release: Release) -> None:
    full = dataclasses.replace(release, heads=HEADS, serving_projection="1", index="1")
    for manifest in (release, full):
        again = Release.from_json(manifest.to_json())
        assert again == manifest
        assert again.clip.preprocessing == manifest.clip.preprocessing
        assert again.checksum == manifest.checksum
    assert full.checksum != release.checksum


def test_each_part_has_its_encoder_and_version(release: Release) -> None:
    assert release.encoder_for("clip") == ("compact-clip", "1")
    assert release.encoder_for("review") == ("e5-small", "1")
    name, version = release.encoder_for("fused")
    assert name == "fused"
    assert version.startswith("1-")
    with pytest.raises(ValueError, match="no part 'tags'"):
        release.encoder_for("tags")


def test_a_release_serves_opinions_where_it_has_heads(release: Release) -> None:
    judging = dataclasses.replace(release, heads=HEADS)
    assert judging.encoder_for("opinions") == ("e5-small-heads", "2")
    assert judging.rests_on("opinions") == (release.review,)
    assert judging.parts_checksum != release.parts_checksum
    assert [kept.serves(USER_OPINIONS) for kept in (release, judging)] == [False, True]
    assert release.serves(USER_ACTIVITY)
    with pytest.raises(ValueError, match="no part 'opinions' in release r1"):
        release.encoder_for("opinions")


@pytest.mark.parametrize(
    "change",
    [
        {"clip": _spec("compact-clip", "2")},
        {"review": _spec("e5-small", "2")},
        {"fused_recipe": "fused/2"},
    ],
)
def test_fused_version_changes_with_all_it_rests_on(release: Release, change: dict[str, object]) -> None:
    other = dataclasses.replace(release, name="r2", **change)  # type: ignore[arg-type]
    assert other.encoder_for("fused") != release.encoder_for("fused")
    # The name of a release is no part of what the vectors are.
    assert dataclasses.replace(release, name="r2").encoder_for("fused") == release.encoder_for("fused")


def test_view_names(release: Release) -> None:
    assert view_name(USER_ACTIVITY, "marketing", release) == "user_activity_marketing"
    assert (
        view_name(USER_VISUAL_INTEREST, "personalisation", release)
        == "user_visual_interest_personalisation_compact_clip_1"
    )
    assert view_name(PRODUCT_VECTORS, None, release) == "product_vectors_compact_clip_1"


def test_view_names_are_distinct_and_fit_a_database(release: Release) -> None:
    release = dataclasses.replace(release, heads=HEADS, tag_calibrations={"definition": "1-00000000"})
    other = dataclasses.replace(release, name="r2", clip=_spec("compact-clip", "2"))
    names = {
        (table.name, purpose, kept.name * (table.depends_on in ("clip", "fused", "tags"))): view_name(
            table, purpose, kept
        )
        for table in HISTORIES
        for purpose in table.purposes or (None,)
        for kept in (release, other)
    }
    assert len(set(names.values())) == len(names)
    # PostgreSQL cuts identifiers at 63 bytes; the project's name comes in front.
    assert max(map(len, names.values())) <= 52
    assert len(view_name(USER_FUSED, max(PURPOSES, key=len), release)) <= 52


def test_unusable_manifests_are_refused(release: Release) -> None:
    with pytest.raises(ReleaseDamagedError, match="not a release manifest"):
        Release.from_json("{")
    values = json.loads(release.to_json())
    with pytest.raises(ReleaseDamagedError, match="not a release manifest"):
        Release.from_json(json.dumps({**values, "surprise": 1}))
    with pytest.raises(HomeVersionError, match="newer version"):
        Release.from_json(json.dumps({**values, "format": 99}))
    with pytest.raises(ValueError, match="named in lower case"):
        dataclasses.replace(release, name="../r1")
