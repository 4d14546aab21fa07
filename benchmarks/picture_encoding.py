"""Pictures to vectors: the encode job in Spark beside what one could write instead, in one run.

Photos of `MMFS_TEST_DATA`, enlarged to the size that shops keep them in, and the bundled encoder. Beside the job: the
plain loop in PyTorch; the same loop tuned by all that is known (allocator, memory layout, pictures decoded beside the
model and no larger than needed, one process a core); and Spark with one UDF that decodes and one that embeds. Every
way has loaded its model and seen pictures before it is timed, and runs in processes of its own, for the allocator is
set before one starts. Ratios count; CPU seconds are those of all processes.

`MMFS_BENCH_PICTURES` (default 768) photos, each `MMFS_BENCH_SIDE` pixels long (default 1000).
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

_PROJECT = Path(__file__).resolve().parents[1]
_PICTURES = int(os.environ.get("MMFS_BENCH_PICTURES", "768"))
_SIDE = int(os.environ.get("MMFS_BENCH_SIDE", "1000"))
_MODULE = "benchmarks.picture_encoding"
_ROUNDS = 3
# Of so many photos the way with two UDFs gets one, for its pace is not to be waited for.
_NAIVE_SHARE = 8
_BATCH = 32
_CORES = os.cpu_count() or 1
_PARTS = ("plain", "tuned", "naive_spark", "job")
Vectors = dict[str, np.ndarray]


def main() -> None:
    """Measure the ways in turns and print."""
    from encoders.load import WORKER_ENVIRONMENT

    folder = Path(os.environ.get("MMFS_TEST_DATA", _PROJECT.parent / "shared" / "data"))
    with tempfile.TemporaryDirectory() as scratch:
        size = _enlarged(folder, Path(scratch) / "photos")
        tuned = os.environ | WORKER_ENVIRONMENT
        ways = {"plain": dict(os.environ), "tuned": tuned, "naive_spark": dict(os.environ), "job": dict(os.environ)}
        best: dict[str, dict[str, Any]] = {}
        for part, environment in ways.items():
            command = [sys.executable, "-m", _MODULE, part, scratch]
            subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
            best[part] = json.loads((Path(scratch) / f"{part}.json").read_text())
        exact = _read(Path(scratch) / "plain.npz")
        table = Table("way", "pictures/s", "seconds, each round", "job is faster", "cosine to float32: mean, least")
        for part in _PARTS:
            found = best[part]
            pace, of_job = (one["pictures"] / min(one["seconds"]) for one in (found, best["job"]))
            table.add_row(
                part.replace("_", " "),
                f"{pace:.1f}",
                ", ".join(f"{s:.1f}" for s in found["seconds"]),
                f"{of_job / pace:.2f}",
                _cosines(exact, _read(Path(scratch) / f"{part}.npz")),
            )
        table.title = f"{_PICTURES} photos of {_SIDE} pixels, {size / _PICTURES / 1024:.0f} KiB each, {_CORES} cores"
        Console().print(table)


def _enlarged(folder: Path, target: Path) -> int:
    """Write the photos; their bytes in all."""
    from PIL import Image

    target.mkdir()
    with (folder / "clothing" / "labels.csv").open(newline="") as file:
        paths = [folder / "clothing" / row["path"] for row in csv.DictReader(file)]
    with (folder / "grocery_labels.csv").open(newline="") as file:
        paths += [folder / row["path"] for row in csv.DictReader(file)]
    chosen = np.random.default_rng(0).permutation(len(paths))[:_PICTURES]
    total = 0
    for number, place in enumerate(chosen):
        photo = Image.open(paths[place]).convert("RGB")
        scale = _SIDE / max(photo.size)
        made = photo.resize((round(photo.width * scale), round(photo.height * scale)), Image.Resampling.BICUBIC)
        made.save(target / f"{number:05}.jpg", quality=88)
        total += (target / f"{number:05}.jpg").stat().st_size
    return total


def _photos(scratch: Path) -> list[Path]:
    return sorted((scratch / "photos").iterdir())


def _timed(scratch: Path, part: str, work: Callable[[], Vectors]) -> None:
    """Once to warm up, then the rounds; keep the times and the vectors."""
    vectors, seconds = work(), []
    for _ in range(_ROUNDS):
        started = time.perf_counter()
        vectors = work()
        seconds.append(time.perf_counter() - started)
    np.savez(scratch / part, allow_pickle=False, **vectors)
    (scratch / f"{part}.json").write_text(json.dumps({"pictures": len(vectors), "seconds": seconds}))


def _model() -> tuple[Any, Any]:
    """The bundled model as open_clip gives it, and its preprocessing."""
    from encoders.bundled import default_cache_dir, prepared_directory
    from encoders.clip_encoder import open_directory

    model, preprocess, _ = open_directory(str(prepared_directory("compact-clip", default_cache_dir())))
    return model.eval(), preprocess


def plain(scratch: Path) -> None:
    """The loop that everybody writes first: read, decode, preprocess, batch, model; torch's own threads."""
    import torch
    from PIL import Image

    model, preprocess = _model()

    def work() -> Vectors:
        found: Vectors = {}
        for paths in _batches(_photos(scratch)):
            batch = torch.stack([preprocess(Image.open(path).convert("RGB")) for path in paths])
            with torch.no_grad():
                vectors = torch.nn.functional.normalize(model.encode_image(batch), dim=-1).numpy()
            found |= dict(zip((path.name for path in paths), vectors, strict=True))
        return found

    _timed(scratch, "plain", work)


def tuned(scratch: Path) -> None:
    """The tight loop: a process a core, each with one thread for the model and one that decodes ahead."""
    with ThreadPoolExecutor(_CORES) as pool:
        processes = [_Tuned(scratch, number) for number in range(_CORES)]

        def work() -> Vectors:
            for found in pool.map(_Tuned.once, processes):
                assert found == "done"
            parts = [_read(scratch / f"tuned-{number}.npz") for number in range(_CORES)]
            return {name: vector for part in parts for name, vector in part.items()}

        _timed(scratch, "tuned", work)
        for process in processes:
            process.end()


class _Tuned:
    """A process that does its share of the photos each time it is told to."""

    def __init__(self, scratch: Path, number: int) -> None:
        command = [sys.executable, "-m", _MODULE, "tuned_share", str(scratch), str(number)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def once(self) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().strip()

    def end(self) -> None:
        self._process.communicate()


def tuned_share(scratch: Path, number: str) -> None:
    """In the process: every so many-th photo."""
    import torch
    from PIL import Image

    torch.set_num_threads(1)
    model, preprocess = _model()
    model.visual.to(memory_format=torch.channels_last)
    share = _photos(scratch)[int(number) :: _CORES]

    def decoded(path: Path) -> Any:
        picture = Image.open(io.BytesIO(path.read_bytes()))
        picture.draft("RGB", (448, 448))
        return preprocess(picture.convert("RGB"))

    for _ in sys.stdin:
        found: Vectors = {}
        with ThreadPoolExecutor(1) as pool:
            ahead = pool.map(decoded, share)
            for paths in _batches(share):
                batch = torch.stack([next(ahead) for _ in paths]).contiguous(memory_format=torch.channels_last)
                with torch.inference_mode():
                    vectors = torch.nn.functional.normalize(model.encode_image(batch), dim=-1).numpy()
                found |= dict(zip((path.name for path in paths), vectors, strict=True))
        np.savez(scratch / f"tuned-{number}", allow_pickle=False, **found)
        print("done", flush=True)


def naive_spark(scratch: Path) -> None:
    """One UDF gives pixels, the next one vectors: what tutorials show."""
    import pandas as pd
    from pyspark.sql import functions as F

    spark = _session()

    @F.udf("array<float>")
    def pixels(path: str) -> list[float]:
        from PIL import Image

        if "preprocess" not in _LOADED:
            _LOADED["preprocess"] = _model()[1]
        pixels: list[float] = _LOADED["preprocess"](Image.open(path).convert("RGB")).reshape(-1).tolist()
        return pixels

    def embedding(batch: pd.Series) -> pd.Series:
        import torch

        if "model" not in _LOADED:
            torch.set_num_threads(1)
            _LOADED["model"] = _model()[0]
        images = torch.from_numpy(np.stack(batch.to_list()).reshape(-1, 3, 224, 224))
        with torch.no_grad():
            vectors = torch.nn.functional.normalize(_LOADED["model"].encode_image(images), dim=-1).numpy()
        return pd.Series(list(vectors))

    embedding.__annotations__ = {"batch": pd.Series, "return": pd.Series}
    embed = F.pandas_udf(embedding, "array<float>")  # type: ignore[attr-defined]

    paths = spark.createDataFrame(
        [(str(path),) for path in _photos(scratch)[::_NAIVE_SHARE]], "path string"
    ).repartition(_CORES)
    spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", str(_BATCH))

    def work() -> Vectors:
        rows = paths.select("path", embed(pixels("path")).alias("vector")).collect()
        return {Path(row.path).name: np.array(row.vector, np.float32) for row in rows}

    _timed(scratch, "naive_spark", work)
    spark.stop()


_LOADED: dict[str, Any] = {}


def job(scratch: Path) -> None:
    """The function and the partitions of `mmfs run`'s encode step."""
    from encoders.spec import resolve
    from pipelines.encoding.job import TASKS_PER_CORE
    from pipelines.encoding.worker import RESULT, encoding_function
    from pipelines.settings import Settings

    spark = _session()
    rows = [_content(path) for path in _photos(scratch)]
    schema = "content_hash string, modality string, paths array<string>, text string, attempts int"
    contents = spark.createDataFrame([row[:5] for row in rows], schema).repartition(_CORES * TASKS_PER_CORE)
    names = {row[0]: row[5] for row in rows}
    function = encoding_function(resolve("bundled:compact-clip"), 1, Settings().cache_dir)

    def work() -> Vectors:
        found = contents.mapInArrow(function, RESULT).collect()
        assert all(row.status == "ok" for row in found), [row.reason for row in found if row.reason][:3]
        return {names[row.content_hash]: np.frombuffer(row.vector, "<f4") for row in found}

    _timed(scratch, "job", work)
    spark.stop()


def _content(path: Path) -> tuple[str, str, list[str], None, int, str]:
    return hashlib.sha256(path.read_bytes()).hexdigest(), "image", [str(path)], None, 0, path.name


def _session() -> Any:
    from encoders.load import WORKER_ENVIRONMENT
    from pipelines.settings import Settings
    from pipelines.spark import spark_session

    return spark_session(Settings(), "benchmark", WORKER_ENVIRONMENT)


def _batches(paths: list[Path]) -> Iterator[list[Path]]:
    for start in range(0, len(paths), _BATCH):
        yield paths[start : start + _BATCH]


def _read(path: Path) -> Vectors:
    with np.load(path) as found:
        return dict(found)


def _cosines(exact: Vectors, found: Vectors) -> str:
    assert exact.keys() >= found.keys()
    cosines = [float(exact[name] @ vector) for name, vector in found.items()]
    return f"{np.mean(cosines):.4f}, {min(cosines):.4f}"


if __name__ == "__main__":
    globals()[sys.argv[1]](Path(sys.argv[2]), *sys.argv[3:])
