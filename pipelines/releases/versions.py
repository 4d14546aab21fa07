"""What a release has that others have not: the histories, and the vectors behind them, that come and go with it."""

from __future__ import annotations

from collections.abc import Sequence

from pipelines.releases.manifest import Release
from pipelines.tables.features import HISTORIES
from pipelines.tables.schema import Table

Version = tuple[str, str]


def own_histories(release: Release, others: Sequence[Release]) -> list[tuple[Table, Version]]:
    """Histories with the version that no other release reads; interests before what is made of them."""
    found = []
    for table in HISTORIES:
        if table.depends_on and release.serves(table):
            version = release.encoder_for(table.depends_on)
            if version not in {other.encoder_for(table.depends_on) for other in others if other.serves(table)}:
                found.append((table, version))
    return found


def own_heads(release: Release, others: Sequence[Release]) -> list[Version]:
    """Versions of heads that no other release has."""
    held = {other.heads.key for other in others if other.heads}
    return [release.encoder_for("opinions")] if release.heads and release.heads.key not in held else []


def own_encoders(release: Release, others: Sequence[Release]) -> list[Version]:
    """Encoder versions that no other release stands on."""
    held = {spec.key for other in others for spec in other.encoders.values()}
    return [(spec.name, spec.version) for spec in release.encoders.values() if spec.key not in held]
