"""The OpenAPI document, made of what the server does."""

from __future__ import annotations

from typing import Any

from pipelines.ranking.similarities import HISTOGRAM
from pipelines.server.questions import Question, RankingQuestion
from pipelines.server.renders import ARROW, COMPACT, MSGPACK
from pipelines.server.replies import FAULTS, JSON

_VALUE = {"description": "null where the status is not PRESENT"}
_ANSWER = {
    "type": "object",
    "required": ["metadata", "results"],
    "properties": {
        "metadata": {
            "type": "object",
            "required": ["feature_names", "release", "service"],
            "properties": {
                "feature_names": {"type": "array", "items": {"type": "string"}},
                "release": {"type": ["string", "null"]},
                "service": {"type": ["string", "null"]},
            },
        },
        "results": {
            "type": "array",
            "description": "One per name, the ids first; in each, one entry per id in the order asked.",
            "items": {
                "type": "object",
                "required": ["values", "statuses", "event_timestamps"],
                "properties": {
                    "values": {"type": "array", "items": _VALUE},
                    "statuses": {
                        "type": "array",
                        "items": {"enum": ["PRESENT", "NULL_VALUE", "NOT_FOUND", "OUTSIDE_MAX_AGE", "NO_CONSENT"]},
                    },
                    "event_timestamps": {"type": "array", "items": {"type": "string", "format": "date-time"}},
                },
            },
        },
    },
}
_BINARY = {"schema": {"type": "string", "contentMediaType": "application/octet-stream"}}
_ROWS = {"type": "array", "items": {"type": "array", "items": {"type": ["number", "null"]}}}
_NAMES = {"type": "array", "items": {"type": "string"}}
_VIEWS = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["view", "features", "values", "statuses", "event_timestamps"],
        "properties": {
            "view": {"type": "string"},
            "features": _NAMES,
            "values": _ROWS | {"description": "A row per id; null unless the status is PRESENT"},
            "statuses": _ROWS | {"description": "Numbered as in status_names"},
            "event_timestamps": {
                "type": "array",
                "items": {"type": "integer"},
                "description": "Microseconds since 1970 UTC, 0 for none",
            },
        },
    },
}
_RANKING_ANSWER = {
    "type": "object",
    "required": ["release", "service", "asked_at", "product_ids", "status_names", "user", "products", "similarities"],
    "properties": {
        "release": {"type": ["string", "null"]},
        "service": {"type": ["string", "null"]},
        "asked_at": {"type": "string", "format": "date-time"},
        "user_id": {"type": "string"},
        "device_id": {"type": "string"},
        "product_ids": _NAMES,
        "status_names": _NAMES,
        "user": _VIEWS,
        "products": _VIEWS,
        "similarities": {
            "type": "object",
            "required": ["version", "names", "values", HISTOGRAM, "tier_edges"],
            "properties": {
                "version": {"type": "integer"},
                "names": _NAMES,
                "values": _ROWS,
                HISTOGRAM: _ROWS,
                "tier_edges": {"type": "array", "items": {"type": "number"}},
            },
        },
    },
}
_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message"],
            "properties": {"code": {"type": "string"}, "message": {"type": "string"}},
        }
    },
}
# Beside the pipelines' own faults.
_OF_EVERY_ROUTE = {401: ["unauthorised"], 405: ["method_not_allowed"], 429: ["rate_limited"]}
_OF_QUESTIONS = {
    400: ["invalid_json"],
    406: ["not_acceptable"],
    408: ["body_too_slow"],
    413: ["body_too_large", "batch_too_large"],
    422: ["invalid_request", "unknown_entity"],
    503: ["overloaded", "too_slow", "starting"],
}


def document(version: str) -> dict[str, Any]:
    """OpenAPI 3.1."""
    faults: dict[int, list[str]] = {status: list(codes) for status, codes in _OF_QUESTIONS.items()}
    for _, status, code in FAULTS:
        faults.setdefault(status, []).append(code)
    features = _question(
        "getOnlineFeatures", "Features of many ids, wholly of one release, as far as consent allows", "", faults
    )
    features["responses"]["200"]["content"][ARROW] = _BINARY
    ranking = _question(
        "getRankingFeatures",
        "Numbers of one user and of candidate products, and how these resemble the user's taste",
        "Ranking",
        faults,
    )
    return {
        "openapi": "3.1.0",
        "info": {"title": "Multimodal feature store", "version": version},
        "paths": {
            "/get-online-features": {"post": features},
            "/get-ranking-features": {"post": ranking},
            "/health": {"get": _plain("Whether the process runs", JSON)},
            "/ready": {"get": _plain("Whether questions can be answered", JSON, {503: faults[503]})},
            "/metrics": {"get": _plain("Prometheus's text format", "text/plain")},
            "/openapi.json": {"get": _plain("This document", JSON)},
        },
        "components": {
            "schemas": {
                "Question": Question.model_json_schema(),
                "Answer": _ANSWER,
                "RankingQuestion": RankingQuestion.model_json_schema(),
                "RankingAnswer": _RANKING_ANSWER,
                "Error": _ERROR,
            },
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            },
        },
        "security": [{"bearer": []}, {"key": []}],
    }


def _question(operation: str, summary: str, of: str, faults: dict[int, list[str]]) -> dict[str, Any]:
    """A question in JSON with the schemas `<of>Question` and `<of>Answer`."""
    asked = {JSON: {"schema": {"$ref": f"#/components/schemas/{of}Question"}}}
    answers = {
        JSON: {"schema": {"$ref": f"#/components/schemas/{of}Answer"}},
        COMPACT: {"schema": {"type": "object"}},
        MSGPACK: _BINARY,
    }
    return {
        "operationId": operation,
        "summary": summary,
        "requestBody": {"required": True, "content": asked},
        "responses": {"200": {"description": "One entry per id, in the order asked", "content": answers}}
        | _responses(_OF_EVERY_ROUTE)
        | _responses(faults),
    }


def _plain(summary: str, media_type: str, faults: dict[int, list[str]] | None = None) -> dict[str, Any]:
    good = {"200": {"description": summary, "content": {media_type: {"schema": {}}}}}
    return {"summary": summary, "responses": good | _responses(_OF_EVERY_ROUTE) | _responses(faults or {})}


def _responses(faults: dict[int, list[str]]) -> dict[str, Any]:
    content = {JSON: {"schema": {"$ref": "#/components/schemas/Error"}}}
    return {
        str(status): {"description": f"codes: {', '.join(codes)}", "content": content}
        for status, codes in faults.items()
    }
