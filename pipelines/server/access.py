"""Who may ask, and how often."""

from __future__ import annotations

import hashlib
import re
import time

from pydantic import SecretStr

from pipelines.errors import SettingsError
from pipelines.server.replies import RequestError

_PAIR = re.compile(r"(?P<name>[\w.-]+):(?P<key>\S{16,})")
ANYBODY = "anybody"


class Callers:
    """Names by API key, given as `Authorization: Bearer KEY` or `X-API-Key: KEY`. Without keys anybody may ask."""

    def __init__(self, keys: dict[bytes, str] | None) -> None:
        """`keys`: names by SHA-256 of the key, so that looking one up takes the same time whatever was guessed."""
        self._keys = keys

    @classmethod
    def of(cls, api_keys: SecretStr | None) -> Callers:
        """Raises SettingsError where there is no key or one that cannot be used."""
        pairs = [pair.strip() for pair in (api_keys.get_secret_value() if api_keys else "").split(",") if pair.strip()]
        found = [_PAIR.fullmatch(pair) for pair in pairs]
        if not found or None in found:
            raise SettingsError(
                "setting MMFS_API_KEYS: expected name:key pairs separated by commas, keys of 16 characters or more; "
                "to serve without authentication: mmfs serve --no-authentication"
            )
        return cls({hashlib.sha256(m["key"].encode()).digest(): m["name"] for m in found if m})

    def name(self, headers: list[tuple[bytes, bytes]]) -> str:
        """Who asks. Raises RequestError 401."""
        if self._keys is None:
            return ANYBODY
        for header, value in headers:
            if header == b"x-api-key":
                key = value
            elif header == b"authorization" and value[:7].lower() == b"bearer ":
                key = value[7:].strip()
            else:
                continue
            name = self._keys.get(hashlib.sha256(key).digest())
            if name is not None:
                return name
        raise RequestError(401, "unauthorised", "give an API key: Authorization: Bearer KEY")


class Rates:
    """A bucket of requests per caller, filled at a steady rate up to a second's worth."""

    def __init__(self, per_second: float) -> None:
        self._rate = per_second
        self._buckets: dict[str, tuple[float, float]] = {}

    def take(self, caller: str) -> None:
        """Raises RequestError 429."""
        now = time.monotonic()
        left, at = self._buckets.get(caller, (self._rate, now))
        left = min(max(self._rate, 1.0), left + (now - at) * self._rate)
        if left < 1:
            raise RequestError(429, "rate_limited", f"more than {self._rate:g} requests a second", retry_after=1)
        self._buckets[caller] = (left - 1, now)
