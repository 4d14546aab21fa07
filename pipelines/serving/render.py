"""A user's features as tables for people: one table a view, one line a measure, its windows side by side."""

from __future__ import annotations

import re
from datetime import datetime
from itertools import groupby

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from pipelines.serving.online import Feature, FeatureValue, UserFeatures

_STYLES = {"present": "", "null": "dim", "not_found": "yellow", "no_consent": "red"}
_SHOWN_ITEMS = 4
_WINDOW = re.compile(r"(?P<measure>.+)_(?P<days>\d+)d")


def render_features(found: UserFeatures) -> RenderableType:
    """Header with release and consents, then the views; vectors are shortened."""
    head = Text(
        f"{found.user_id} · {found.service} of release {found.release} · purpose {found.purpose or 'none'} · "
        f"allows: {', '.join(found.consents) or 'nothing'}"
    )
    views = groupby(found.features, key=lambda f: f.view)
    return Group(head, *(_view_table(view, list(features)) for view, features in views))


def _view_table(view: str, features: list[Feature]) -> Table:
    at = features[0].event_timestamp
    title = f"{view}, as of {at:%Y-%m-%d %H:%M} UTC" if at else f"{view}: {features[0].status.replace('_', ' ')}"
    lines: dict[str, dict[str, Text]] = {}
    for feature in features if at else []:
        window = None if isinstance(feature.value, list) else _WINDOW.fullmatch(feature.name)
        measure, column = (window["measure"], f"{window['days']} d") if window else (feature.name, "")
        lines.setdefault(measure, {})[column] = _shown(feature)
    windows = sorted({c for line in lines.values() for c in line if c}, key=lambda c: int(c[:-2]))
    table = Table(title=title, title_justify="left", title_style="bold", box=None, show_header=bool(windows))
    table.add_column("")
    for column in windows:
        table.add_column(column, justify="right")
    table.add_column("")
    for measure, values in lines.items():
        table.add_row(measure.replace("_", " "), *(values.get(c, Text()) for c in [*windows, ""]))
    return table


def _shown(feature: Feature) -> Text:
    text = _text(feature.value) if feature.status == "present" else feature.status.replace("_", " ")
    return Text(text, style=_STYLES[feature.status])


def _text(value: FeatureValue) -> str:
    if isinstance(value, list):
        first = ", ".join(f"{v:.3f}" if isinstance(v, float) else str(v) for v in value[:_SHOWN_ITEMS])
        return f"[{first}{f', … {len(value)} in all' if len(value) > _SHOWN_ITEMS else ''}]"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}Z"
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value)
