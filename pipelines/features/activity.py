"""user_activity: what a user does, when and where."""

from __future__ import annotations

from pyspark.sql import Column
from pyspark.sql import functions as F

from pipelines.features.windows import Measures, first_instant
from pipelines.tables.definitions import CHANNELS, COUNTED_EVENTS, DAYPARTS, WINDOWS_DAYS


def activity(measures: Measures) -> dict[str, Column]:
    """The columns of user_activity, from a frame of `windowed`."""
    counted = [*COUNTED_EVENTS.values(), "sessions", "active_days"]
    return {
        **{f"{name}_{w}d": measures.over(name, w) for name in counted for w in WINDOWS_DAYS},
        **{f"dwell_seconds_{w}d": measures.over("dwell_seconds", w) for w in (7, 30)},
        **{f"{part}_share_30d": _share_of_events(f"{part}_events", measures) for part in DAYPARTS},
        "weekend_share_30d": _share_of_events("weekend_events", measures),
        **{f"{channel}_share_30d": _share_of_events(f"{channel}_events", measures) for channel in CHANNELS},
        "first_event_at": first_instant(),
        "last_event_at": measures.last("last_event_at"),
    }


def _share_of_events(name: str, measures: Measures) -> Column:
    return F.try_divide(measures.over(name, 30), measures.over("events", 30))
