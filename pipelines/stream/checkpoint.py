"""What a stream's checkpoint says: who the stream is, and when a micro-batch was planned. Both outlive a restart."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from pipelines.point_in_time.delta_log import open_filesystem


def stream_identity(checkpoint: str) -> str:
    """The stream's id, as Spark gave it when the checkpoint was made, in short."""
    return str(json.loads(_read(f"{checkpoint}/metadata"))["id"]).replace("-", "")[:12]


def planned_at(checkpoint: str, number: int) -> datetime:
    """When a micro-batch was planned, aware and in UTC."""
    metadata = json.loads(_read(f"{checkpoint}/offsets/{number}").splitlines()[1])
    return datetime.fromtimestamp(metadata["batchTimestampMs"] / 1000, UTC)


def _read(place: str) -> str:
    system, path = open_filesystem(place)
    with system.open_input_stream(path) as file:
        return bytes(file.read()).decode()
