"""The OpenAPI document against the running server: what fits it is answered as it says, what does not is refused."""

from __future__ import annotations

import os

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed
from hypothesis import settings as budget
from schemathesis import Case, GenerationMode
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import ignored_auth, negative_data_rejection, positive_data_acceptance

from tests.server.conftest import KEY, Served

# That every route asks for a key is tested in test_bad_input.py: here each request has one, and the check, which puts
# others into the request, meets ours. What only the home's releases and services decide.
_OF_THE_HOME = {"release_not_live", "ambiguous_names", "unknown_entity"}
_MODES = [GenerationMode.POSITIVE, GenerationMode.NEGATIVE]


def _tried(served: Served, examples: int) -> dict[str, int]:
    """Call every operation of the document with drawn requests; how many answers there were by operation."""
    document = schemathesis.openapi.from_url(
        f"http://127.0.0.1:{served.port}/openapi.json", headers={"authorization": f"Bearer {KEY}"}
    )
    answers: dict[str, int] = {}
    for found in document.get_all_operations():
        assert isinstance(found, Ok), found
        operation = found.ok()
        for mode in _MODES:

            @seed(8)
            @budget(
                max_examples=examples,
                deadline=None,
                database=None,
                phases=[Phase.explicit, Phase.generate],
                suppress_health_check=[*HealthCheck],
            )
            @given(case=operation.as_strategy(generation_mode=mode))
            def call(case: Case) -> None:
                response = case.call(headers={"authorization": f"Bearer {KEY}"})
                refused = response.status_code in (410, 422) and response.json()["error"]["code"] in _OF_THE_HOME
                others = [positive_data_acceptance] if refused else []
                # A refusal, too, which schemathesis does not count among those of data that break the schema.
                others += [negative_data_rejection] if response.status_code == 413 else []
                case.validate_response(response, excluded_checks=[ignored_auth, *others])
                answers[case.operation.label] = answers.get(case.operation.label, 0) + 1

            call()
    return answers


def test_the_document_is_true(served: Served) -> None:
    answers = _tried(served, 5)
    assert {"POST /get-online-features", "POST /get-ranking-features", "GET /ready"} <= answers.keys()


@pytest.mark.soak
def test_the_document_is_true_of_many_requests(served: Served) -> None:
    answers = _tried(served, int(os.environ.get("MMFS_SOAK_EXAMPLES", "1000")))
    assert answers["POST /get-online-features"] > 1000
