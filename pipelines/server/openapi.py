"""The OpenAPI document, made of what the server does."""

from __future__ import annotations

from typing import Any

from pipelines.server.questions import Question
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
    question = Question.model_json_schema()
    binary = {"schema": {"type": "string", "contentMediaType": "application/octet-stream"}}
    answers = {
        JSON: {"schema": {"$ref": "#/components/schemas/Answer"}},
        COMPACT: {"schema": {"type": "object"}},
        MSGPACK: binary,
        ARROW: binary,
    }
    ask = {
        "operationId": "getOnlineFeatures",
        "summary": "Features of many ids, wholly of one release, as far as consent allows",
        "requestBody": {"required": True, "content": {JSON: {"schema": {"$ref": "#/components/schemas/Question"}}}},
        "responses": {"200": {"description": "One entry per id, in the order asked", "content": answers}}
        | _responses(_OF_EVERY_ROUTE)
        | _responses(faults),
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "Multimodal feature store", "version": version},
        "paths": {
            "/get-online-features": {"post": ask},
            "/health": {"get": _plain("Whether the process runs", JSON)},
            "/ready": {"get": _plain("Whether questions can be answered", JSON, {503: faults[503]})},
            "/metrics": {"get": _plain("Prometheus's text format", "text/plain")},
            "/openapi.json": {"get": _plain("This document", JSON)},
        },
        "components": {
            "schemas": {"Question": question, "Answer": _ANSWER, "Error": _ERROR},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            },
        },
        "security": [{"bearer": []}, {"key": []}],
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
