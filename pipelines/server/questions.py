"""What is asked: Feast's request, with a release and devices beside it; and the order of products for one user."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StrictStr, ValidationError

from pipelines.identity.subject_keys import DEVICE, USER
from pipelines.online.ranking import SERVICE as RANKING
from pipelines.server.replies import RequestError

# By the name of the ids: the kind of subject; products are no subjects.
KINDS = {"user_id": USER, "device_id": DEVICE, "product_id": USER}
Identifier = Annotated[StrictStr, Field(max_length=1024)]
Ids = Annotated[list[Identifier], Field(min_length=1)]
Q = TypeVar("Q", bound=BaseModel)


def _either(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """That exactly one of two fields is given, as JSON Schema says it: schemas of both by name, one's first."""
    return {"oneOf": [{"properties": given, "required": [next(iter(given))]} for given in (one, other)]}


_NONE: dict[str, Any] = {"type": "null"}
_TEXT: dict[str, Any] = {"type": "string"}


class Question(BaseModel):
    """The body of POST /get-online-features."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra=_either(
            {"feature_service": _TEXT, "features": {"maxItems": 0}},
            {"features": {"minItems": 1}, "feature_service": _NONE},
        ),
    )
    entities: dict[StrictStr, Ids] = Field(
        description="Ids by what they are: user_id, device_id or product_id; exactly one of them.",
        min_length=1,
        max_length=1,
        examples=[{"user_id": ["u-17", "u-18"]}],
        json_schema_extra={"propertyNames": {"enum": [*KINDS]}},
    )
    feature_service: StrictStr | None = Field(
        None, description="Feature service; a bare name means the default release.", examples=["risk"]
    )
    features: list[StrictStr] = Field(
        [], description="Instead of a service: features as view:feature, all of one release.", max_length=1000
    )
    full_feature_names: bool = Field(False, description="Name features view__feature.")
    release: StrictStr | None = Field(None, description="Refuse to answer with any other release than this.")
    include_feature_view_version_metadata: bool = Field(False, description="Taken for Feast's clients; says nothing.")

    @property
    def id_name(self) -> str:
        return next(iter(self.entities))

    @property
    def ids(self) -> list[str]:
        return self.entities[self.id_name]


class RankingQuestion(BaseModel):
    """The body of POST /get-ranking-features."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra=_either({"user_id": _TEXT, "device_id": _NONE}, {"device_id": _TEXT, "user_id": _NONE}),
    )
    user_id: Identifier | None = Field(None, description="The user; either this or device_id.", examples=["u-17"])
    device_id: Identifier | None = Field(None, description="An anonymous device.")
    product_ids: Ids = Field(description="Candidates, answered in this order.", examples=[["p-1", "p-2"]])
    feature_service: StrictStr = Field(RANKING, description="A service of users and products.")
    release: StrictStr | None = Field(None, description="Refuse to answer with any other release than this.")

    @property
    def id_name(self) -> str:
        return "user_id" if self.device_id is None else "device_id"

    @property
    def user(self) -> str:
        return self.user_id or self.device_id or ""


def parsed_ranking(body: bytes, max_batch: int) -> RankingQuestion:
    """The question in a body. Raises RequestError saying where it is wrong."""
    question = _validated(RankingQuestion, body)
    if (question.user_id is None) == (question.device_id is None):
        raise RequestError(422, "invalid_request", "give either user_id or device_id")
    _require_batch(question.product_ids, max_batch)
    return question


def parsed(body: bytes, max_batch: int) -> Question:
    """The question in a body. Raises RequestError saying where it is wrong."""
    question = _validated(Question, body)
    if question.id_name not in KINDS:
        raise RequestError(422, "unknown_entity", f"entities: expected one of {', '.join(KINDS)}")
    if (question.feature_service is None) == (not question.features):
        raise RequestError(422, "invalid_request", "give either feature_service or features")
    _require_batch(question.ids, max_batch)
    return question


def _validated(kind: type[Q], body: bytes) -> Q:
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        if first["type"] == "json_invalid":
            raise RequestError(400, "invalid_json", f"the body is no JSON: {first['msg']}") from error
        place = ".".join(map(str, first["loc"])) or "the body"
        raise RequestError(422, "invalid_request", f"{place}: {first['msg']}") from error


def _require_batch(ids: list[str], most: int) -> None:
    if len(ids) > most:
        raise RequestError(413, "batch_too_large", f"{len(ids)} ids in one request, at most {most}")
