"""Trains the heads on an encoder: `python -m encoders.heads.train bundled:e5-small --sources DIR --reviews FILE`.

What DIR holds is said in `encoders.heads.corpora`. Vectors are kept below `--cache`, so that a run that was killed
resumes. Writes the weights of the heads and their held-out figures beside this file; no seed is needed, for the heads
are solved for, not drawn.
"""

from __future__ import annotations

import argparse
import json
from functools import cache
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file, save_file

from encoders.bundled import default_cache_dir
from encoders.heads.blend import blend, ngram_weights
from encoders.heads.clauses import clauses
from encoders.heads.corpora import Labelled
from encoders.heads.fit import logistic
from encoders.heads.judge import Heads, clause_inputs, negated
from encoders.heads.kept_vectors import KeptVectors
from encoders.heads.prototypes import ASPECTS, cues, named, phrases
from encoders.heads.spec import HERE, resolve_heads
from encoders.heads.texts import Corpus, corpus
from encoders.load import Encoder, load
from encoders.spec import resolve

CLAUSES = 12_000
# Weight of a clause that only inherits the label of its review, and of a made-up phrase, beside a judged sentence.
INHERITED, MADE_UP = 0.2, 0.2
# The first chosen by cross-validation on training texts.
REVIEW_RIDGE, CLAUSE_RIDGE = 1000.0, 300.0
Tensors = dict[str, np.ndarray]


def main() -> None:
    """Train and measure the heads on one encoder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("encoder", help="URI of a bundled text encoder")
    parser.add_argument("--sources", type=Path, required=True)
    parser.add_argument("--reviews", type=Path, required=True, help="zh_reviews.csv")
    parser.add_argument("--cache", type=Path, default=default_cache_dir(), help="of set-up and of the kept vectors")
    parser.add_argument("--share", type=float, default=1.0, help="of the texts that the encoder is asked of")
    parser.add_argument("--blend", action="store_true", help="keep the vector heads that stand; teach only the rest")
    parser.add_argument("--weighed", type=int, default=700, help="texts of each language that set how sure heads are")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    spec = resolve(arguments.encoder)

    @cache
    def encoder() -> Encoder:
        return load(spec, threads=arguments.threads, cache_dir=arguments.cache)

    torch.set_num_threads(arguments.threads)
    kept = KeptVectors(
        encoder, arguments.cache / "training-vectors" / spec.checksum.removeprefix("sha256:")[:12], print
    )
    name = spec.uri.partition(":")[2]
    texts = corpus(arguments.sources, arguments.reviews, CLAUSES)
    known = json.loads((HERE / "metrics.json").read_text(encoding="utf-8")) if (HERE / "metrics.json").exists() else {}
    metadata = {"encoder": spec.key, "encoder_checksum": spec.checksum}
    if arguments.blend:
        tensors, figures = load_file(HERE / f"{name}.safetensors"), known[name]
    else:
        tensors, figures = train(texts, kept, arguments.share)
    tensors |= _blended(tensors, texts, kept, arguments.share, arguments.weighed)
    save_file(tensors, HERE / f"{name}.safetensors", metadata)
    figures |= measured(Heads(resolve_heads(spec.uri)), texts, kept, arguments.share)
    (HERE / "metrics.json").write_text(json.dumps({**known, name: figures}, indent=2) + "\n", encoding="utf-8")


def _blended(tensors: Tensors, texts: Corpus, kept: KeptVectors, share: float, count: int) -> Tensors:
    """The head on n-grams, taught on all labelled training texts but those on which it is weighed."""
    weighed = texts.unasked(share, count)
    apart = {row.text for row in weighed}
    taught = [row for row in texts.training if row.label is not None and row.source != "clause"]
    weights = ngram_weights([row for row in taught if row.text not in apart])
    logits = kept.of([row.text for row in weighed]) @ tensors["review.weight"][0] + tensors["review.bias"][0]
    return {"ngrams": weights, "blend": blend(logits, weighed, weights)}


def train(texts: Corpus, kept: KeptVectors, share: float) -> tuple[Tensors, dict[str, object]]:
    """The tensors of the three heads on vectors, and what the two on clauses get right of held-out texts."""
    training, held_out = texts.asked(share)
    whole = [row for row in training if row.source != "clause" and row.label is not None]
    tests = [row for row in held_out if row.label is not None]
    review = logistic(kept.of([row.text for row in whole]), _labels(whole), ridge=REVIEW_RIDGE)
    clause = _clause_head(training, kept)
    about, unseen = _aspect_head(training, kept)
    tensors = {
        "review.weight": review[0][None],
        "review.bias": np.array([review[1]]),
        "clause.weight": clause[0][None],
        "clause.bias": np.array([clause[1]]),
        "aspects.weight": np.stack([weight for weight, _ in about]),
        "aspects.bias": np.array([bias for _, bias in about]),
    }
    figures: dict[str, object] = {"trained on": _counts(training), "aspects, clauses by cues not trained on": unseen}
    single = [row for row in tests if len(clauses(row.text)) == 1]
    of_language = {name: [row for row in single if row.language == name] for name in ("zh", "en")}
    figures["single clauses"] = {name: _right(_inputs(rows, kept), clause, rows) for name, rows in of_language.items()}
    return {name: tensor.astype(np.float32) for name, tensor in tensors.items()}, figures


def _clause_head(training: list[Labelled], kept: KeptVectors) -> tuple[np.ndarray, float]:
    """Single clauses with a label of their own, clauses with their review's, and made-up phrases."""
    rows = [row for row in training if row.label is not None]
    rows = [row for row in rows if row.source == "clause" or len(clauses(row.text)) <= 1]
    made = [Labelled(phrase.text, phrase.label, "zh", "phrase") for phrase in phrases()]
    weights = [INHERITED if row.source == "clause" else 1.0 for row in rows] + [MADE_UP] * len(made)
    return logistic(_inputs(rows + made, kept), _labels(rows + made), np.array(weights), ridge=CLAUSE_RIDGE)


def _aspect_head(
    training: list[Labelled], kept: KeptVectors
) -> tuple[list[tuple[np.ndarray, float]], dict[str, dict[str, float]]]:
    """One logistic regression an aspect; what a cue finds is its teacher. And how well clauses are found whose cue the
    teacher did not know: every second one of an aspect's cues is left out for that measurement."""
    rows = [row.text for row in training if len(clauses(row.text)) <= 1]
    made = phrases()
    vectors = kept.of(rows + [phrase.text for phrase in made])
    found: list[tuple[np.ndarray, float]] = []
    unseen = {}
    for aspect in ASPECTS:
        is_about = np.array([aspect in named(row) for row in rows] + [phrase.aspect == aspect for phrase in made])
        found.append(logistic(vectors, is_about, ridge=CLAUSE_RIDGE))
        unseen[aspect] = _unseen_cues(aspect, rows, vectors[: len(rows)], is_about[: len(rows)])
    return found, unseen


def _unseen_cues(aspect: str, rows: list[str], vectors: np.ndarray, is_about: np.ndarray) -> dict[str, float]:
    """Of clauses with a cue left out: the mean of how they rank among clauses without any (area under the curve)."""
    hits = [cues()[aspect].search(row) for row in rows]
    words = sorted({hit[0].lower() for hit in hits if hit})
    hidden = {word for place, word in enumerate(words) if place % 2}
    left_out = np.array([hit is not None and hit[0].lower() in hidden for hit in hits])
    weights, bias = logistic(vectors[~left_out], is_about[~left_out], ridge=CLAUSE_RIDGE)
    said = vectors @ weights + bias
    negatives = np.sort(said[~is_about])
    ranks = np.searchsorted(negatives, said[left_out]) / len(negatives)
    return {"area under curve": round(float(ranks.mean()), 4) if len(ranks) else 0.0, "n": int(left_out.sum())}


def measured(heads: Heads, texts: Corpus, kept: KeptVectors, share: float) -> dict[str, object]:
    """Of held-out texts with a label, by language: how many are right, by the vectors alone as well; and how many are
    judged clearly, and right of those."""
    found: dict[str, object] = {}
    for language in ("zh", "en"):
        rows = [row for row in texts.asked(share)[1] if row.language == language and row.label is not None]
        vectors, labels = kept.of([row.text for row in rows]), _labels(rows)
        scores = heads.review_pleasure(vectors, [row.text for row in rows])
        clear, right = np.abs(2 * scores - 1) > 0.6, (scores > 0.5) == labels
        found[language] = {
            "reviews": {"accuracy": round(float(right.mean()), 4), "n": len(rows)},
            "by vectors alone": round(float(((heads.review_logits(vectors) > 0) == labels).mean()), 4),
            "share with a score beyond 0.6": round(float(clear.mean()), 4),
            "right of those": round(float(right[clear].mean()), 4),
        }
    return found


def _inputs(rows: list[Labelled], kept: KeptVectors) -> np.ndarray:
    return clause_inputs(kept.of([row.text for row in rows]), np.array([negated(row.text) for row in rows]))


def _labels(rows: list[Labelled]) -> np.ndarray:
    return np.array([row.label for row in rows])


def _right(inputs: np.ndarray, head: tuple[np.ndarray, float], rows: list[Labelled]) -> dict[str, float]:
    right = (inputs @ head[0] + head[1] > 0) == _labels(rows)
    return {"accuracy": round(float(right.mean()), 4), "n": len(rows)}


def _counts(rows: list[Labelled]) -> dict[str, int]:
    kinds = [row.source if row.source == "clause" else row.language for row in rows]
    return {kind: kinds.count(kind) for kind in sorted(set(kinds))} | {"phrases": len(phrases())}


if __name__ == "__main__":
    main()
