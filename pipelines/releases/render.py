"""Encoder versions and releases in a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from pipelines.releases.inventory import Consumer, ListedEncoder, ListedRelease, Usage
from pipelines.releases.journal import Journal

_KEPT = ("Delta rows", "bytes", "online rows", "bytes")
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def render_encoders(encoders: Sequence[ListedEncoder]) -> Group:
    """A table of all, then where each is used."""
    table = Table("encoder", "aliases", "MLflow", "source", "dims", "in releases", *_KEPT)
    for e in encoders:
        table.add_row(
            f"{e.name}/{e.version}",
            ", ".join(e.aliases),
            e.uri,
            e.source,
            str(e.dimensions),
            ", ".join(e.plays) or "none",
            f"{e.usage.rows:,}",
            readable_bytes(e.usage.bytes),
            f"{e.usage.online_rows:,}",
            readable_bytes(e.usage.online_bytes),
        )
    details = [_details(f"{e.name}/{e.version}", e.usage, e.metrics) for e in encoders]
    return Group(table, *(text for text in details if text is not None))


def render_releases(releases: Sequence[ListedRelease]) -> Group:
    """A table of all, then where each is used."""
    table = Table("release", "default", "encoders", "heads", "tags", "fused", *_KEPT)
    for r in releases:
        table.add_row(
            r.name,
            "yes" if r.is_default else "",
            ", ".join(f"{part}: {key}" for part, key in r.encoders.items()),
            r.heads or "none",
            r.tags or "none",
            r.fused,
            f"{r.usage.rows:,}",
            readable_bytes(r.usage.bytes),
            f"{r.usage.online_rows:,}",
            readable_bytes(r.usage.online_bytes),
        )
    details = [_details(r.name, r.usage, {}) for r in releases]
    return Group(table, *(text for text in details if text is not None))


def render_moves(pending: Journal | None, log: Sequence[Mapping[str, Any]]) -> Text:
    """What happened last, and whether a promotion waits to be finished."""
    lines = [f"last: {log[-1]['release']} {log[-1]['what']}, {log[-1]['at'][:19]} UTC"] if log else []
    if pending is not None:
        lines.append(
            f"a promotion of {pending.release} was cut off: mmfs releases promote finishes it, --undo undoes it"
        )
    return Text("\n".join(lines))


def _details(name: str, usage: Usage, metrics: dict[str, float]) -> Text | None:
    lines = []
    if usage.views:
        lines.append("views: " + ", ".join(usage.views))
    if usage.services:
        lines.append("services that read them: " + ", ".join(usage.services))
    if usage.consumers:
        lines.append("consumers: " + ", ".join(_consumer(consumer) for consumer in usage.consumers))
    if metrics:
        lines.append("metrics: " + ", ".join(f"{key} {value:.3f}" for key, value in sorted(metrics.items())))
    if not lines:
        return None
    return Text("\n  ".join([name, *lines]) + "\n")


def _consumer(consumer: Consumer) -> str:
    superseded = "" if consumer.is_current else ", superseded"
    return f"{consumer.uri} ({consumer.service}, {consumer.release}{superseded})"


def readable_bytes(size: float) -> str:
    """1,536 as "1.5 KiB"."""
    power = 0
    while size >= 1024 and power < len(_UNITS) - 1:
        size, power = size / 1024, power + 1
    return f"{size:,.0f} {_UNITS[power]}" if power == 0 else f"{size:,.1f} {_UNITS[power]}"
