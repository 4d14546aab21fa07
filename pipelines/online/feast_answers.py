"""Feast's own answers from packed rows, with every status told: present, null, not found, outside ttl."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from feast import FeatureView, utils
from feast.protos.feast.serving.ServingService_pb2 import FieldStatus, GetOnlineFeaturesResponse
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from google.protobuf.timestamp_pb2 import Timestamp

from pipelines.online.layout import RowSchema, times_of
from pipelines.online.values import values_of_row

_NOTHING, _NO_TIME = Value(), Timestamp()


@dataclass(frozen=True)
class ViewRequest:
    """What is asked of a view: distinct entities, and for each the places of the answer it belongs in."""

    view: FeatureView
    features: list[str]
    entities: list[EntityKey]
    places: tuple[list[int], ...]
    count: int


def grouped_requests(
    grouped_refs: Sequence[tuple[FeatureView, list[str]]],
    join_key_values: dict[str, Any],
    join_keys: dict[str, str],
) -> list[ViewRequest]:
    """One request per view."""
    requests = []
    for view, features in grouped_refs:
        values, places, count = utils._get_unique_entities(view, join_key_values, join_keys)
        requests.append(ViewRequest(view, features, utils._get_entity_key_protos(values), places, count))
    return requests


def is_outside_ttl(view: FeatureView, row: bytes) -> bool:
    """Whether a row is older than its view's ttl, where it has one."""
    if not view.ttl:
        return False
    return time.time() - times_of(row)[0] / 1e6 > view.ttl.total_seconds()


def fill_response(
    response: GetOnlineFeaturesResponse,
    request: ViewRequest,
    rows: Sequence[bytes | None],
    *,
    full_names: bool,
    versions: bool,
) -> None:
    """Append the view's features; `rows` are those of the request's entities."""
    view = request.view
    name = view.projection.name_to_use()
    response.metadata.feature_names.val.extend(f"{name}__{f}" if full_names else f for f in request.features)
    if versions:
        _add_version(response, view)
    values = [[_NOTHING] * request.count for _ in request.features]
    statuses = [[FieldStatus.NOT_FOUND] * request.count for _ in request.features]
    times = [_NO_TIME] * request.count
    schema = RowSchema.of(view)
    for row, places in zip(rows, request.places, strict=True):
        if row is None:
            continue
        outside = is_outside_ttl(view, row)
        found = {} if outside else values_of_row(schema, row, request.features)
        at = Timestamp()
        at.FromMicroseconds(times_of(row)[0])
        for place in places:
            times[place] = at
        for i, feature in enumerate(request.features):
            value = found.get(feature)
            status = FieldStatus.OUTSIDE_MAX_AGE if outside else _status(value)
            for place in places:
                statuses[i][place] = status
                if value is not None:
                    values[i][place] = value
    for column, status_column in zip(values, statuses, strict=True):
        response.results.append(
            GetOnlineFeaturesResponse.FeatureVector(values=column, statuses=status_column, event_timestamps=times)
        )


def _status(value: Value | None) -> FieldStatus.ValueType:
    if value is None:
        return FieldStatus.NOT_FOUND
    return FieldStatus.PRESENT if value.WhichOneof("val") else FieldStatus.NULL_VALUE


def _add_version(response: GetOnlineFeaturesResponse, view: FeatureView) -> None:
    name = view.projection.name_alias or view.projection.name
    if name not in [known.name for known in response.metadata.feature_view_metadata]:
        added = response.metadata.feature_view_metadata.add()
        added.name = name
        added.version = getattr(view, "current_version_number", 0) or 0
