"""One small shop, drawn once for all tests, and its tables as they lie in the files."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.sample_shop import SampleShopSummary, write_sample_shop

Rows = list[dict[str, object]]
READABLE = {"products.jsonl": "products", "reviews.jsonl": "reviews", "users.csv": "users",
            "messages.csv": "messages", "identities.csv": "identities"}  # fmt: skip


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> SampleShopSummary:
    return write_sample_shop(tmp_path_factory.mktemp("shop") / "drop", users=40, days=20, seed=7)


@pytest.fixture(scope="session")
def drop(shop: SampleShopSummary) -> Path:
    return shop.path


@pytest.fixture(scope="session")
def rows(drop: Path) -> Callable[[str], Rows]:
    """Rows of a table that can be parsed; spoilt ones among them."""

    def read(table: str) -> Rows:
        if table == "events":
            files = sorted((drop / "events").glob("*.parquet"))
            return pa.concat_tables([pq.read_table(file) for file in files]).to_pylist()
        name = next(name for name, of in READABLE.items() if of == table)
        if name.endswith(".csv"):
            text = (drop / name).read_bytes().decode(errors="replace")
            return [dict(row) for row in csv.DictReader(io.StringIO(text))]
        return [row for line in (drop / name).read_bytes().splitlines() if (row := _parsed(line)) is not None]

    return read


def _parsed(line: bytes) -> dict[str, object] | None:
    try:
        row: dict[str, object] = json.loads(line.decode(errors="replace"))
    except ValueError:
        return None
    return row
