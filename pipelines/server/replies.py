"""What is sent back: a status, a body, and for every fault a code that stays the same."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic_core import to_json

from pipelines import errors

JSON = "application/json"


@dataclass(frozen=True)
class Reply:
    """One HTTP answer."""

    status: int
    body: bytes
    media_type: str = JSON
    headers: tuple[tuple[bytes, bytes], ...] = ()


class RequestError(Exception):
    """A request that is answered with a fault: status, code and what to do about it."""

    def __init__(self, status: int, code: str, message: str, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.retry_after = retry_after

    def reply(self) -> Reply:
        headers: list[tuple[bytes, bytes]] = []
        if self.retry_after is not None:
            headers.append((b"retry-after", str(self.retry_after).encode()))
        if self.status == 401:
            headers.append((b"www-authenticate", b"Bearer"))
        body = to_json({"error": {"code": self.code, "message": str(self)}})
        return Reply(self.status, body, headers=tuple(headers))


# The first class that fits counts; a code never changes its meaning.
FAULTS: tuple[tuple[type[errors.PipelineError], int, str], ...] = (
    (errors.UnknownServiceError, 404, "unknown_service"),
    (errors.UnknownFeatureError, 404, "unknown_feature"),
    (errors.UnknownReleaseError, 410, "release_not_live"),
    (errors.FeatureNamesError, 422, "ambiguous_names"),
    (errors.OnlineStoreUnreachableError, 503, "online_store_unreachable"),
    (errors.OnlineStoreNotReadyError, 503, "online_store_not_ready"),
    (errors.OnlineStoreOutdatedError, 503, "online_store_outdated"),
    (errors.OnlineStoreError, 503, "online_store_error"),
    (errors.RegistryUnreadableError, 503, "registry_unreadable"),
    (errors.HomeError, 503, "home_unusable"),
    (errors.ReleaseDamagedError, 503, "release_damaged"),
)


def fault(error: errors.PipelineError) -> RequestError:
    """An error of the pipelines as the answer it gives. Raises the error itself where it is none of a reader's."""
    for kind, status, code in FAULTS:
        if isinstance(error, kind):
            return RequestError(status, code, str(error), 1 if status == 503 else None)
    raise error
