"""A user's features as a table for people."""

from __future__ import annotations

from datetime import datetime

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from pipelines.serving.online import Feature, FeatureValue, UserFeatures

_STYLES = {"present": "green", "null": "dim", "not_found": "yellow", "no_consent": "red"}
_SHOWN_ITEMS = 4


def render_features(found: UserFeatures) -> RenderableType:
    """Header with release and consents, then one line per feature; vectors are shortened."""
    head = Text(
        f"{found.user_id} · {found.service} of release {found.release} · purpose {found.purpose or 'none'} · "
        f"allows: {', '.join(found.consents) or 'nothing'}"
    )
    table = Table("view", "feature", "value", "as of", "status", box=None, pad_edge=False)
    previous = None
    for feature in found.features:
        table.add_row(*_line(feature, new_view=feature.view != previous))
        previous = feature.view
    return Group(head, table)


def _line(feature: Feature, *, new_view: bool) -> list[Text]:
    at = f"{feature.event_timestamp:%Y-%m-%d %H:%M}" if feature.event_timestamp else ""
    return [
        Text(feature.view if new_view else "", style="bold"),
        Text(feature.name),
        Text(_shown(feature.value)),
        Text(at),
        Text(feature.status, style=_STYLES[feature.status]),
    ]


def _shown(value: FeatureValue) -> str:
    if isinstance(value, list):
        first = ", ".join(f"{v:.3f}" if isinstance(v, float) else str(v) for v in value[:_SHOWN_ITEMS])
        return f"[{first}{f', … {len(value)} in all' if len(value) > _SHOWN_ITEMS else ''}]"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}Z"
    if isinstance(value, float):
        return f"{value:.4g}"
    return "" if value is None else str(value)
