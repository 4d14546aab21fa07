"""What is asked: Feast's request, with a release and devices beside it."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StrictStr, ValidationError

from pipelines.identity.subject_keys import DEVICE, USER
from pipelines.server.replies import RequestError

# By the name of the ids: the kind of subject; products are no subjects.
KINDS = {"user_id": USER, "device_id": DEVICE, "product_id": USER}
Ids = Annotated[list[Annotated[StrictStr, Field(max_length=1024)]], Field(min_length=1)]


class Question(BaseModel):
    """The body of POST /get-online-features."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    entities: dict[StrictStr, Ids] = Field(
        description="Ids by what they are: user_id, device_id or product_id; exactly one of them.",
        min_length=1,
        max_length=1,
        examples=[{"user_id": ["u-17", "u-18"]}],
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


def parsed(body: bytes, max_batch: int) -> Question:
    """The question in a body. Raises RequestError saying where it is wrong."""
    try:
        question = Question.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        if first["type"] == "json_invalid":
            raise RequestError(400, "invalid_json", f"the body is no JSON: {first['msg']}") from error
        place = ".".join(map(str, first["loc"])) or "the body"
        raise RequestError(422, "invalid_request", f"{place}: {first['msg']}") from error
    if question.id_name not in KINDS:
        raise RequestError(422, "unknown_entity", f"entities: expected one of {', '.join(KINDS)}")
    if (question.feature_service is None) == (not question.features):
        raise RequestError(422, "invalid_request", "give either feature_service or features")
    if len(question.ids) > max_batch:
        raise RequestError(413, "batch_too_large", f"{len(question.ids)} ids in one request, at most {max_batch}")
    return question
