"""New queries are encoded on their way, by every live release's text encoder; each model is loaded once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np

from encoders.errors import EncoderError
from encoders.load import Encoder, load
from encoders.spec import EncoderSpec
from pipelines.encoding.worker import encode_rows
from pipelines.releases.manifest import Release
from pipelines.settings import Settings
from pipelines.stream.acts import Act
from pipelines.stream.content_vectors import ContentVectors

_QUERY = "query"
Row = tuple[Any, ...]


class QueryEncoders:
    """Encodes queries in this process. Where an encoder cannot be loaded its queries wait for the encoding step."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._loaded: dict[str, Encoder | None] = {}
        self.problems: dict[str, str] = {}

    def encode(
        self, acts: Iterable[Act], releases: Sequence[Release], vectors: ContentVectors, at: datetime
    ) -> tuple[list[Row], int]:
        """Add the vectors of acts' new queries; their rows for `embeddings`, and how many queries have to wait.

        A row is in the order of the table's columns.
        """
        texts = {_content(act.query): act.query for act in acts if act.query and act.query.strip()}
        made: list[Row] = []
        waiting = 0
        for spec in {release.clip.key: release.clip for release in releases}.values():
            version = (spec.name, spec.version)
            new = vectors.missing(version, _QUERY, texts)
            encoder = self._encoder(spec) if new else None
            if encoder is None:
                waiting += len(new)
                continue
            made += _encoded({content: texts[content] for content in sorted(new)}, spec, encoder, vectors, at)
        return made, waiting

    def _encoder(self, spec: EncoderSpec) -> Encoder | None:
        if spec.key not in self._loaded:
            try:
                self._loaded[spec.key] = load(spec, threads=1, cache_dir=self._settings.cache_dir)
            except EncoderError as error:
                self._loaded[spec.key], self.problems[spec.key] = None, str(error)
        return self._loaded[spec.key]


def _encoded(
    texts: Mapping[str, str], spec: EncoderSpec, encoder: Encoder, vectors: ContentVectors, at: datetime
) -> list[Row]:
    contents = ({"content_hash": c, "modality": _QUERY, "text": text, "paths": None} for c, text in texts.items())
    made = []
    for items in encode_rows(contents, lambda: encoder):
        for found in (item.result() for item in items):
            if found["vector"] is not None:
                vector = np.frombuffer(found["vector"], dtype="<f4")
                vectors.add((spec.name, spec.version), _QUERY, found["content_hash"], vector)
            made.append(
                (found["content_hash"], _QUERY, spec.name, spec.version, found["status"], found["reason"],
                 found["vector"], found["dimensions"], dict(found["details"]), at)
            )  # fmt: skip
    return made


def _content(query: str) -> str:
    """The id of a query's content, as tiles have it."""
    return hashlib.sha256(query.encode()).hexdigest()
