"""Times as whole microseconds since the epoch, UTC: what the point-in-time kernel reckons in."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.point_in_time.slots import NONE, Ints

UTC_MICROS = pa.timestamp("us", tz="UTC")
# From the first instant there is to the last: ten thousand years.
_LONGEST = (datetime.max - datetime.min) // timedelta(microseconds=1)


def utc_micros(column: pa.Array) -> pa.Array:
    """A column of timestamps or dates as aware UTC microseconds; a naive one is taken as UTC.

    Finer fractions are cut off downwards. Raises TypeError for a column of another kind.
    """
    kind = column.type
    if pa.types.is_date(kind):
        return column.cast(pa.timestamp("us")).cast(UTC_MICROS)
    if not pa.types.is_timestamp(kind):
        raise TypeError(f"expected timestamps, found {kind}")
    # Arrow counts naive timestamps from the epoch too: taking them as UTC changes the label alone.
    aware = column.cast(pa.timestamp(kind.unit, tz="UTC"))
    aware = pc.floor_temporal(aware, unit="microsecond") if kind.unit == "ns" else aware
    return aware.cast(UTC_MICROS, safe=False)


def as_integers(column: pa.Array) -> Ints:
    """A column of timestamps or dates as int64, NULL as NONE."""
    return np.asarray(utc_micros(column).cast(pa.int64()).fill_null(int(NONE)).to_numpy(zero_copy_only=False), np.int64)


def event_and_created(times: Sequence[pa.Array]) -> tuple[Ints, Ints]:
    """The time columns of a history as int64; NONE for created_at where it has none."""
    events = as_integers(times[0])
    return events, as_integers(times[1]) if len(times) > 1 else np.full(len(events), NONE, np.int64)


def instants_of_text(column: pa.Array, *, unreadable: Literal["raise", "coerce"]) -> pa.Array:
    """ISO 8601 text as aware UTC microseconds; without offset it is UTC. Raises ValueError, or NULL by `unreadable`."""
    parsed = pd.to_datetime(column.to_pandas(), utc=True, format="ISO8601", errors=unreadable)
    return pa.Array.from_pandas(parsed.dt.floor("us")).cast(UTC_MICROS, safe=False)


def micros_of(length: timedelta | None) -> int:
    """A length of time in microseconds; 0 for None, and for one that is longer than instants reach."""
    micros = length // timedelta(microseconds=1) if length else 0
    return micros if micros < _LONGEST else 0
