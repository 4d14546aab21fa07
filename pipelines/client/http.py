"""Features over HTTP from `mmfs serve`."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Sequence
from typing import Any, Literal

import msgpack
import urllib3
from urllib3.exceptions import HTTPError, ReadTimeoutError

from pipelines.client.features import Features, ViewFeatures
from pipelines.client.ranking import Ranking
from pipelines.errors import FeatureRequestError

_MSGPACK = "application/msgpack"
_AGAIN = frozenset({429, 503})
_PAUSE = 0.01
Entity = Literal["user_id", "device_id", "product_id"]


class RetryBudget:
    """Retries only as a share of requests: a server in trouble is not asked twice by everybody."""

    def __init__(self, share: float = 0.1, saved: float = 10.0) -> None:
        """`share` of a retry is earned by each request, at most `saved` are kept."""
        self._share, self._most, self._left = share, saved, saved
        self._lock = threading.Lock()

    def earn(self) -> None:
        with self._lock:
            self._left = min(self._most, self._left + self._share)

    def spend(self) -> bool:
        """Whether one more may be tried."""
        with self._lock:
            if self._left < 1:
                return False
            self._left -= 1
            return True


class FeatureClient:
    """Keeps connections; safe in threads.

    A request is tried again where nothing was answered or the server asks for it (503, 429), up to `attempts` and as
    far as the budget goes; reading features again does no harm.
    """

    def __init__(
        self,
        url: str,
        api_key: str | None = None,
        *,
        timeout_seconds: float = 1.0,
        connections: int = 16,
        attempts: int = 3,
        ca_certificates: str | None = None,
    ) -> None:
        """`url` as "http://host:port"; `ca_certificates` a PEM file for HTTPS with a certificate of one's own."""
        self._url = url.rstrip("/")
        self._headers = {"accept": _MSGPACK, "content-type": "application/json"}
        if api_key:
            self._headers["authorization"] = f"Bearer {api_key}"
        options: dict[str, Any] = {"ca_certs": ca_certificates} if ca_certificates else {}
        self._pool = urllib3.PoolManager(
            maxsize=connections, retries=False, timeout=urllib3.Timeout(total=timeout_seconds), **options
        )
        self._attempts = attempts
        self._budget = RetryBudget()

    def features(
        self,
        ids: Sequence[str],
        service: str = "",
        *,
        features: Sequence[str] = (),
        release: str | None = None,
        entity: Entity = "user_id",
    ) -> Features:
        """Features of a service, or those listed as `view:feature`, of many ids in one request.

        `release` pins: any other is refused. Ids of which nothing is known are answered NOT_FOUND. Raises
        FeatureRequestError, whose `code` is the server's, "unreachable" or "timeout".
        """
        question: dict[str, Any] = {"entities": {entity: list(ids)}, "full_feature_names": True}
        question |= {"features": list(features)} if features else {"feature_service": service}
        if release is not None:
            question["release"] = release
        document = msgpack.unpackb(self._asked("/get-online-features", question))
        views = {view["view"]: ViewFeatures.of_document(view) for view in document["views"]}
        return Features(document["ids"], document["release"], document["service"], views)

    async def features_async(self, *arguments: Any, **named: Any) -> Features:
        """The same for asyncio; the waiting is done in a thread."""
        return await asyncio.to_thread(self.features, *arguments, **named)

    def rank(
        self,
        user: str,
        products: Sequence[str],
        service: str = "ranking",
        *,
        release: str | None = None,
        entity: Literal["user_id", "device_id"] = "user_id",
    ) -> Ranking:
        """Numbers of one user and of candidate products, and how these resemble the user's taste, in one request.

        Raises FeatureRequestError as `features` does.
        """
        question: dict[str, Any] = {entity: user, "product_ids": list(products), "feature_service": service}
        if release is not None:
            question["release"] = release
        return Ranking.of_document(msgpack.unpackb(self._asked("/get-ranking-features", question)))

    def close(self) -> None:
        self._pool.clear()

    def _asked(self, path: str, question: dict[str, Any]) -> bytes:
        url, body = self._url + path, json.dumps(question).encode()
        self._budget.earn()
        attempt = 0
        while True:
            attempt += 1
            try:
                return self._once(url, body)
            except FeatureRequestError as error:
                again = error.status in _AGAIN or error.code == "unreachable"
                if attempt == self._attempts or not again or not self._budget.spend():
                    raise
                time.sleep(_PAUSE * 2**attempt)

    def _once(self, url: str, body: bytes) -> bytes:
        try:
            answer = self._pool.request("POST", url, body=body, headers=self._headers)
        except ReadTimeoutError as error:
            raise FeatureRequestError(0, "timeout", f"{url} did not answer in time") from error
        except HTTPError as error:
            raise FeatureRequestError(0, "unreachable", f"{url} cannot be reached: {error}") from error
        if answer.status == 200:
            return answer.data
        code, message = "unknown", f"answered {answer.status}"
        if answer.headers.get("content-type") == "application/json":
            told = answer.json()["error"]
            code, message = told["code"], told["message"]
        raise FeatureRequestError(answer.status, code, message)
