"""Every row of a training set reaches PyTorch once, whatever the number of workers."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from torch.utils.data import DataLoader

from pipelines.training.torch_dataset import TrainingSetDataset

DAY = datetime(2026, 3, 10, tzinfo=UTC)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "train.parquet"
    table = pa.table(
        {
            "user_id": [f"u{i}" for i in range(10)],
            "label": list(range(10)),
            "views": pa.array([None if i == 3 else i for i in range(10)], pa.int64()),
            "is_new": pa.array([None if i == 9 else i > 4 for i in range(10)]),
            "at": pa.array([DAY] * 10, pa.timestamp("us", tz="UTC")),
            "taste": pa.array([None if i < 2 else [float(i), 0.5] for i in range(10)], pa.list_(pa.float32())),
            "weights": pa.array([[0.5] * (i % 4) if i else None for i in range(10)], pa.list_(pa.float32())),
            "unknown": pa.array([None] * 10, pa.list_(pa.float32())),
        }
    )
    pq.write_table(table, path, row_group_size=3)
    return path


def rows(dataset: TrainingSetDataset) -> list[Any]:
    return [batch["label"].tolist() for batch in dataset]  # type: ignore[union-attr]


@pytest.mark.parametrize("workers", [0, 2])
def test_every_row_once(path: Path, workers: int) -> None:
    context = "fork" if workers else None
    loader = DataLoader(
        TrainingSetDataset(path, 2), batch_size=None, num_workers=workers, multiprocessing_context=context
    )
    batches = list(loader)
    assert sorted(n for batch in batches for n in batch["label"].tolist()) == list(range(10))
    assert max(len(batch["label"]) for batch in batches) == 2


def test_types(path: Path) -> None:
    [batch] = TrainingSetDataset(path, 10)
    taste, views, weights = batch["taste"], batch["views"], batch["weights"]
    assert isinstance(taste, torch.Tensor)
    assert (taste.shape, taste.dtype, taste[2].tolist()) == ((10, 2), torch.float32, [2.0, 0.5])
    assert bool(taste[:2].isnan().all())
    assert batch["unknown"].shape == (10, 0)  # type: ignore[union-attr]
    assert weights[0] is None
    assert [w.tolist() for w in weights[1:5]] == [[0.5], [0.5, 0.5], [0.5] * 3, []]  # type: ignore[union-attr]
    assert isinstance(views, torch.Tensor)
    assert views.isnan().tolist() == [i == 3 for i in range(10)]
    assert batch["user_id"] == [f"u{i}" for i in range(10)]
    assert batch["at"][0] == int(DAY.timestamp() * 1e6)


def test_a_column_is_of_one_type_in_every_batch(path: Path) -> None:
    batches = list(TrainingSetDataset(path, 1))
    for name, kind in {"views": torch.float64, "is_new": torch.float64, "label": torch.int64}.items():
        assert {batch[name].dtype for batch in batches} == {kind}  # type: ignore[union-attr]
    assert {tuple(batch["taste"].shape) for batch in batches} == {(1, 2)}  # type: ignore[union-attr]


@pytest.mark.parametrize("shards", [1, 3, 4, 11])
def test_shards_have_equally_many_rows(path: Path, shards: int) -> None:
    read = [[n for some in rows(TrainingSetDataset(path, 9, None, i, shards)) for n in some] for i in range(shards)]
    assert [n for some in read for n in some] == list(range(10))
    assert max(map(len, read)) - min(map(len, read)) <= 1


@pytest.mark.parametrize(
    "kind", [pa.list_(pa.float32()), pa.large_list(pa.float64()), pa.list_(pa.float32(), 2)], ids=str
)
def test_vectors_of_every_kind_of_list(tmp_path: Path, kind: pa.DataType) -> None:
    pq.write_table(pa.table({"v": pa.array([[1.0, 2.0], [3.0, 4.0]], kind)}), tmp_path / "x.parquet")
    [batch] = TrainingSetDataset(tmp_path / "x.parquet")
    assert batch["v"].tolist() == [[1.0, 2.0], [3.0, 4.0]]  # type: ignore[union-attr]


def test_a_later_vector_of_another_length_is_refused(tmp_path: Path) -> None:
    lists = [[1.0, 2.0], [3.0, 4.0], [5.0], [6.0, 7.0, 8.0]]
    pq.write_table(pa.table({"v": pa.array(lists, pa.list_(pa.float32()))}), tmp_path / "x.parquet", row_group_size=2)
    with pytest.raises(ValueError, match="vectors of column 'v' are not all of 2 dimensions"):
        list(TrainingSetDataset(tmp_path / "x.parquet"))


def test_whole_numbers_that_no_float_holds(tmp_path: Path) -> None:
    pq.write_table(pa.table({"n": pa.array([2**60 + 1, None], pa.int64())}), tmp_path / "x.parquet")
    [batch] = TrainingSetDataset(tmp_path / "x.parquet")
    assert batch["n"][0] == float(2**60)


@pytest.mark.parametrize(("options", "message"), [
    ({"columns": ["nope"]}, "has no column nope"), ({"shard": 2, "shards": 2}, "shard 2 of 2"),
])  # fmt: skip
def test_what_cannot_be(path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TrainingSetDataset(path, **options)
