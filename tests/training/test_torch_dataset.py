"""Every row of a training set reaches PyTorch once, whatever the number of workers."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

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
            "at": pa.array([DAY] * 10, pa.timestamp("us", tz="UTC")),
            "taste": pa.array([None if i < 2 else [float(i), 0.5] for i in range(10)], pa.list_(pa.float32())),
        }
    )
    pq.write_table(table, path, row_group_size=3)
    return path


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
    [batch] = TrainingSetDataset(path, 10, shard=0, shards=4)
    taste, views = batch["taste"], batch["views"]
    assert isinstance(taste, torch.Tensor)
    assert (taste.shape, taste.dtype, taste[2].tolist()) == ((3, 2), torch.float32, [2.0, 0.5])
    assert bool(taste[:2].isnan().all())
    assert isinstance(views, torch.Tensor)
    assert views.dtype == torch.int64
    assert batch["user_id"] == ["u0", "u1", "u2"]
    assert batch["at"][0] == int(DAY.timestamp() * 1e6)
    [second] = TrainingSetDataset(path, 10, ["views"], shard=1, shards=4)
    assert second["views"].isnan().tolist() == [True, False, False]  # type: ignore[union-attr]


def test_shards_share_the_rows(path: Path) -> None:
    labels = [b["label"].tolist() for shard in range(2) for b in TrainingSetDataset(path, 9, ["label"], shard, 2)]  # type: ignore[union-attr]
    assert sorted(n for some in labels for n in some) == list(range(10))


def test_vectors_of_several_lengths_are_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"v": pa.array([[1.0, 2.0], [3.0]], pa.list_(pa.float32()))}), tmp_path / "x.parquet")
    with pytest.raises(ValueError, match="vectors of column 'v' are not all of 2 dimensions"):
        list(TrainingSetDataset(tmp_path / "x.parquet"))
