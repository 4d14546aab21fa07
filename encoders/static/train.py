"""Rebuilds the static encoder: `python -m encoders.static.train --sources DIR --reviews zh_reviews.csv`.

What DIR holds is said in `encoders.heads.corpora`. The teacher's vectors are kept below `--cache`, so that a run that
was killed resumes; they are nearly all of the time. Seeded; results agree between machines up to rounding.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from encoders.bundled import default_cache_dir, file_checksum
from encoders.e5_weights import package_file, read
from encoders.heads.corpora import Labelled
from encoders.heads.fit import logistic
from encoders.load import load
from encoders.spec import resolve
from encoders.static import assemble, student, teacher, vocabulary
from encoders.static.texts import Corpus, corpus

SEED = 0
SIZE, CLAUSES, STEPS = 32_000, 12_000, 3000
PLEASED = 0.1
TEACHER = "bundled:e5-small"
# How strongly the probe of the report is held back.
_RIDGE = 3.0


def main() -> None:
    """Choose the vocabulary, teach the rows, write weights, checksum and metrics."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sources", type=Path, required=True)
    parser.add_argument("--reviews", type=Path, required=True, help="zh_reviews.csv")
    parser.add_argument(
        "--cache", type=Path, default=default_cache_dir(), help="of set-up and of the teacher's vectors"
    )
    parser.add_argument("--taught", type=int, default=None, help="ask the teacher of so many texts only (default: all)")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    texts = corpus(arguments.sources, arguments.reviews, CLAUSES, SEED)
    pieces = vocabulary.choose(package_file(), texts.training_texts, SIZE)
    rows, figures = teach(texts, pieces, arguments.cache, arguments.taught)
    figures["probe"] = probe(
        texts, student.token_ids(vocabulary.tokenizer(package_file(), pieces), _whole(texts)), rows
    )
    (assemble.HERE / "metrics.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    save(rows, pieces)


def teach(texts: Corpus, pieces: np.ndarray, cache: Path, taught: int | None) -> tuple[torch.Tensor, dict[str, object]]:
    """Trained rows, and how near they come to the teacher on the texts it was asked of."""
    lessons_texts = texts.training_texts
    ids = student.token_ids(vocabulary.tokenizer(package_file(), pieces), lessons_texts)
    encoder = load(resolve(TEACHER), threads=torch.get_num_threads(), cache_dir=cache)
    chosen = np.random.default_rng(SEED).permutation(len(lessons_texts))[:taught]
    said = teacher.vectors(encoder, [lessons_texts[row] for row in chosen], cache / "teacher", print)
    # All of e5's vectors lie in one narrow cone: what they have in common says nothing of a text.
    said = said - said.mean(axis=0)
    goals = np.zeros((len(lessons_texts), said.shape[1]), dtype=np.float32)
    goals[chosen] = said / np.linalg.norm(said, axis=1, keepdims=True)
    labels = [row.label for row in texts.labelled if not row.held_out] + [None] * len(texts.clauses)
    lessons = student.Lessons(
        ids, torch.from_numpy(goals), torch.tensor([-1 if label is None else label for label in labels])
    )
    rows = student.start(_embeddings(pieces), [ids[row] for row in chosen], goals[chosen])
    rows = student.fit(rows, lessons, steps=STEPS, seed=SEED, pleased=PLEASED)
    near = (student.embed(rows, [ids[row] for row in chosen]) * goals[chosen]).sum(axis=1)
    return rows, {"taught": len(chosen), "cosine to teacher, centred, training": round(float(near.mean()), 4)}


def probe(texts: Corpus, ids: list[np.ndarray], rows: torch.Tensor) -> dict[str, dict[str, float]]:
    """Logistic regression on the vectors of training texts, right about so many of the held-out ones, by language."""
    vectors = student.embed(assemble.unpack(assemble.pack(rows, np.zeros(0)))[0], ids)
    return probe_vectors(texts.labelled, vectors)


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


def _whole(texts: Corpus) -> list[str]:
    return [row.text for row in texts.labelled]


def _embeddings(pieces: np.ndarray) -> np.ndarray:
    """(n + 1, 384): e5's input embeddings of the pieces, after one row of zeros for the unknown."""
    source = read(package_file())
    table = source.tensors["emb.word"].reshape(-1, source.hidden)
    return np.concatenate([np.zeros((1, source.hidden), dtype=np.float32), table[pieces]])


if __name__ == "__main__":
    main()
