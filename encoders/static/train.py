"""Rebuilds the static encoder: `python -m encoders.static.train --sources DIR --reviews zh_reviews.csv`.

What DIR holds is said in `encoders.heads.corpora`. The teacher's vectors are kept below `--cache`, so that a run that
was killed resumes; they are nearly all of the time. Seeded; results agree between machines up to rounding.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from encoders.bundled import default_cache_dir, file_checksum
from encoders.e5_weights import package_file, read
from encoders.heads.corpora import Labelled
from encoders.heads.fit import logistic
from encoders.heads.kept_vectors import KeptVectors
from encoders.heads.texts import Corpus, corpus
from encoders.load import Encoder, load
from encoders.spec import resolve
from encoders.static import assemble, student, vocabulary

SEED = 0
SIZE, CLAUSES, STEPS = 32_000, 12_000, 600
TEACHER = "bundled:e5-small"
# How strongly the probe of the report is held back.
_RIDGE = 50.0


def main() -> None:
    """Choose the vocabulary, teach the rows, write weights, checksum and metrics."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sources", type=Path, required=True)
    parser.add_argument("--reviews", type=Path, required=True, help="zh_reviews.csv")
    parser.add_argument(
        "--cache", type=Path, default=default_cache_dir(), help="of set-up and of the teacher's vectors"
    )
    parser.add_argument("--share", type=float, default=1.0, help="of the texts that the teacher is asked of")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    teacher = resolve(TEACHER)

    @cache
    def encoder() -> Encoder:
        return load(teacher, threads=arguments.threads, cache_dir=arguments.cache)

    folder = arguments.cache / "training-vectors" / teacher.checksum.removeprefix("sha256:")[:12]
    texts = corpus(arguments.sources, arguments.reviews, CLAUSES)
    pieces = vocabulary.choose(package_file(), [row.text for row in texts.training], SIZE)
    rows, figures = teach(texts, pieces, KeptVectors(encoder, folder, print), arguments.share)
    (assemble.HERE / "metrics.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    save(rows, pieces)


def teach(texts: Corpus, pieces: np.ndarray, kept: KeptVectors, share: float) -> tuple[torch.Tensor, dict[str, object]]:
    """Trained rows, and how they do on held-out texts."""
    tokens = vocabulary.tokenizer(package_file(), pieces)

    def ids_of(rows: list[Labelled]) -> list[np.ndarray]:
        return student.token_ids(tokens, [row.text for row in rows])

    training, held_out = texts.asked(share)
    said = kept.of([row.text for row in training])
    # All of e5's vectors lie in one narrow cone: what they have in common says nothing of a text.
    centre = said.mean(axis=0)
    goals = _unit(said - centre)
    rows = student.start(_embeddings(pieces), ids_of(training), goals)
    rows = student.fit(rows, ids_of(training), goals, steps=STEPS, seed=SEED)
    judged = [row for row in texts.whole if row.label is not None and not row.held_out]
    rows = student.with_sentiment(rows, ids_of(judged), np.array([row.label for row in judged]))
    committed = assemble.unpack(assemble.pack(rows, pieces))[0]
    near = student.embed(committed, ids_of(held_out)) * _unit(kept.of([row.text for row in held_out]) - centre)
    return rows, {
        "texts the teacher was asked of": len(training),
        "labelled training texts": len(judged),
        "held-out cosine to the teacher, its mean taken off": round(float(near.sum(axis=1).mean()), 4),
        "sentiment probe, held out": probe_vectors(texts.whole, student.embed(committed, ids_of(texts.whole))),
    }


def _unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def probe_vectors(labelled: list[Labelled], vectors: np.ndarray) -> dict[str, dict[str, float]]:
    """Accuracy and number of held-out texts by language, of an encoder's (n, d) vectors of labelled texts."""
    found = {}
    for language in ("zh", "en"):
        clear = [i for i, row in enumerate(labelled) if row.language == language and row.label is not None]
        train = [i for i in clear if not labelled[i].held_out]
        test = [i for i in clear if labelled[i].held_out]
        known, truth = (np.array([labelled[i].label for i in part]) for part in (train, test))
        coefficients, intercept = logistic(vectors[train], known, ridge=_RIDGE)
        right = ((vectors[test] @ coefficients + intercept > 0) == truth).mean()
        found[language] = {"accuracy": round(float(right), 4), "n": len(test)}
    return found


def save(rows: torch.Tensor, pieces: np.ndarray) -> None:
    """Commit-ready weights, and the checksum of what set-up will build from them."""
    save_file(assemble.pack(rows, pieces), assemble.WEIGHTS)
    with tempfile.TemporaryDirectory() as folder:
        assemble.write(Path(folder))
        checksum = file_checksum(Path(folder) / "model.safetensors")
    checksums = assemble.HERE.parent / "bundled_checksums.json"
    known = json.loads(checksums.read_text(encoding="utf-8"))
    checksums.write_text(json.dumps({**known, "static-text": checksum}, indent=2) + "\n", encoding="utf-8")


def _embeddings(pieces: np.ndarray) -> np.ndarray:
    """(n + 1, 384): e5's input embeddings of the pieces, after one row of zeros for the unknown."""
    source = read(package_file())
    table = source.tensors["emb.word"].reshape(-1, source.hidden)
    return np.concatenate([np.zeros((1, source.hidden), dtype=np.float32), table[pieces]])


if __name__ == "__main__":
    main()
