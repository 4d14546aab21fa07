"""The one seam through which ids pass: `subject_key(kind, id)`, in Python and as a Spark column.

A user's key is the shop's own id, so that a shop can ask with what it knows. Every other identifier's key is
`<kind>:<id>`, with the kind percent-encoded so that the first colon always ends it. A user id that has a colon of
its own is written `user:<id>`. So a key without colon is a user's, a key with one names its kind, and no two
(kind, id) pairs share a key: a device "7" and a user "7" stay apart, and so do a device "7" and a user "device:7".

With `settings.subject_hmac_key` the key is the HMAC-SHA256 (hex) of that text.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING
from urllib.parse import quote_plus

import pyarrow as pa

from pipelines.settings import Settings

if TYPE_CHECKING:
    from pyspark.sql import Column

USER = "user"
DEVICE = "device"


def subject_key(kind: str, identifier: str, settings: Settings) -> str:
    """The key of a user (`kind` "user"), a device or another identifier type.

    Raises ValueError for an empty kind or identifier: nobody has that key.
    """
    if not kind or not identifier:
        raise ValueError(f"a subject key needs a kind and an identifier, not {kind!r} and {identifier!r}")
    text = _plain_key(kind, identifier)
    key = settings.subject_hmac_key
    return _hmac(key.get_secret_value().encode(), text) if key else text


def subject_key_column(kind: str | Column, identifier: Column, settings: Settings) -> Column:
    """The same as a Spark column; NULL where the kind or the identifier is NULL or empty."""
    # Imported here: serving asks for keys in Python and runs without Spark.
    from pyspark.sql import functions as F

    kinds = F.lit(kind) if isinstance(kind, str) else kind
    text = (
        F.when((kinds == "") | (identifier == ""), None)
        .when((kinds == USER) & ~identifier.contains(":"), identifier)
        .otherwise(F.concat(F.url_encode(kinds), F.lit(":"), identifier))
    )
    if settings.subject_hmac_key is None:
        return text
    return _hmac_column(text, settings.subject_hmac_key.get_secret_value().encode())


def _plain_key(kind: str, identifier: str) -> str:
    if kind == USER and ":" not in identifier:
        return identifier
    # Java's URLEncoder, which Spark uses, keeps "*" and encodes "~"; Python does the opposite.
    return f"{quote_plus(kind, safe='*').replace('~', '%7E')}:{identifier}"


def _hmac(key: bytes, text: str) -> str:
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def _hmac_column(text: Column, key: bytes) -> Column:
    from pyspark.sql import functions as F

    # In Python and not in SQL, where the key would be a literal that every plan and event log shows.
    @F.arrow_udf("string")  # type: ignore[attr-defined]
    def keyed(texts: pa.Array) -> pa.Array:
        return pa.array([None if t is None else _hmac(key, t) for t in texts.to_pylist()], pa.string())

    return keyed(text)
