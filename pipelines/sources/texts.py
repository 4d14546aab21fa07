"""Free text as silver keeps it: normalised, and where people wrote it, without direct identifiers."""

from __future__ import annotations

import pyarrow as pa
from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql.types import StringType

from encoders.errors import ContentError
from encoders.text import normalise_text
from pipelines.sources.scrub import scrub


def normalised(text: Column) -> Column:
    """The text in one form (`encoders.text.normalise_text`); NULL where nothing is left of it."""
    return _normalised(text)


def scrubbed(text: Column) -> Column:
    """The same, with direct identifiers replaced (`scrub.py`)."""
    return _scrubbed(text)


def content_hash(text: Column) -> Column:
    """Lower-case hex SHA-256 of the text in UTF-8; NULL for NULL."""
    return F.sha2(text.cast("binary"), 256)


def review_content(title: Column, text: Column) -> Column:
    """What is hashed and encoded of a review: title and text with a space between, from silver's columns."""
    return F.concat_ws(" ", title, text)


def _normal_form(text: str | None) -> str | None:
    try:
        return None if text is None else normalise_text(text)
    except ContentError:
        return None


def _scrubbed_form(text: str | None) -> str | None:
    normal = _normal_form(text)
    return None if normal is None else scrub(normal)


@F.arrow_udf(StringType())  # type: ignore[attr-defined]
def _normalised(texts: pa.Array) -> pa.Array:
    return pa.array([_normal_form(t) for t in texts.to_pylist()], pa.string())


@F.arrow_udf(StringType())  # type: ignore[attr-defined]
def _scrubbed(texts: pa.Array) -> pa.Array:
    return pa.array([_scrubbed_form(t) for t in texts.to_pylist()], pa.string())
