"""Where features come from: one source per feature history, purpose and version of what its values depend on."""

from entities import OWNER

from pipelines.releases.manifest import Release, view_name
from pipelines.serving.delta_source import DeltaSource
from pipelines.tables.schema import Table


def delta_source(table: Table, purpose: str | None, release: Release, home: str) -> DeltaSource:
    """The rows of a history that a release serves for a purpose, below a home (absolute path or URI)."""
    partition = {"purpose": purpose} if purpose else {}
    if table.depends_on:
        partition["encoder"], partition["encoder_version"] = release.encoder_for(table.depends_on)
    name = view_name(table, purpose, release) + "_delta"
    return DeltaSource.of(table, home, partition, name=name, owner=OWNER)
