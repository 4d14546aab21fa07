"""A drawn home, and encoding within this process: each encoder is loaded once, each content encoded once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa
import pytest

from encoders.load import load
from encoders.spec import EncoderSpec
from pipelines.encoding.apart import Encoded, Pace
from pipelines.encoding.worker import ARROW_RESULT, encode_rows
from pipelines.releases.compare.vectors import Encoding
from pipelines.settings import PROJECT_ROOT, Settings
from tests.comparison.drawn_home import drawn_home


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory, with_mlflow: Callable[[Settings], Settings]) -> Settings:
    return with_mlflow(drawn_home(tmp_path_factory.mktemp("drawn"), users=100, days=40))


@pytest.fixture(scope="session")
def encoding() -> Encoding:
    known: dict[str, dict[tuple[str, str], dict[str, Any]]] = {}

    def encode(spec: EncoderSpec, rows: Sequence[dict[str, Any]]) -> Encoded:
        of_encoder = known.setdefault(spec.checksum, {})
        fresh = [row for row in rows if (row["modality"], row["content_hash"]) not in of_encoder]
        if fresh:
            encoder = load(spec, threads=2, cache_dir=PROJECT_ROOT / ".cache")
            for items in encode_rows(iter(fresh), lambda: encoder):
                of_encoder |= {(i.row["modality"], i.row["content_hash"]): i.result() for i in items}
        found = [of_encoder[row["modality"], row["content_hash"]] for row in rows]
        pace = Pace("image", (10, 10, 10, 10), (0.1, 0.1, 0.2, 0.1))
        return Encoded(pa.Table.from_pylist(found, schema=ARROW_RESULT), (pace,))

    return encode
