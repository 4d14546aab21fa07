"""Pooling whole batches gives what a plain loop over the contents gives."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.encoding.pooling import pool_batch


# No deadline: the first example pays for imports.
@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3)), min_size=1, max_size=20), st.integers(0, 2**32 - 1))
def test_a_batch_equals_a_loop(shapes: list[tuple[int, int]], seed: int) -> None:
    random = np.random.default_rng(seed)
    vectors = [random.normal(size=(found, 8)).astype("<f4") for found, _ in shapes]
    vectors = [v / np.linalg.norm(v, axis=1, keepdims=True) for v in vectors]
    batch = pa.RecordBatch.from_arrays(
        [
            pa.array([str(i) for i in range(len(shapes))]),
            pa.array(["product_image"] * len(shapes)),
            pa.array([found + missing for found, missing in shapes], pa.int32()),
            pa.array([[row.tobytes() for row in v] for v in vectors], pa.list_(pa.binary())),
        ],
        names=["content_hash", "modality", "members", "vectors"],
    )
    # A slice has offsets of its own, as Spark's batches may.
    for part, start in ((batch, 0), (batch.slice(len(shapes) // 2), len(shapes) // 2)):
        rows = pool_batch(part).to_pylist()
        assert len(rows) == len(shapes) - start
        for row, own, (_, missing) in zip(rows, vectors[start:], shapes[start:], strict=True):
            assert dict(row["details"])["members_missing"] == str(missing)
            if len(own) == 0:
                assert (row["status"], row["reason"], row["vector"]) == ("failed", "no_member_vector", None)
                continue
            mean = own.astype(np.float64).mean(axis=0)
            expected = mean / np.linalg.norm(mean)
            np.testing.assert_allclose(np.frombuffer(row["vector"], "<f4"), expected, atol=1e-5)


def test_opposite_members_have_no_direction() -> None:
    vector = np.eye(1, 8, dtype="<f4")[0]
    batch = pa.RecordBatch.from_arrays(
        [
            pa.array(["a"]),
            pa.array(["product_image"]),
            pa.array([2], pa.int32()),
            pa.array([[vector.tobytes(), (-vector).tobytes()]], pa.list_(pa.binary())),
        ],
        names=["content_hash", "modality", "members", "vectors"],
    )
    assert pool_batch(batch).to_pylist()[0]["reason"] == "no_direction"
