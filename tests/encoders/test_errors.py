import pickle

import pytest

from encoders.errors import ContentError


def test_content_error_keeps_reason_and_detail_through_pickle() -> None:
    error = pickle.loads(pickle.dumps(ContentError("empty", "no pixels")))
    assert (error.reason, error.detail, str(error)) == ("empty", "no pixels", "empty: no pixels")


def test_unknown_reason_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown content reason"):
        ContentError("bad luck")
