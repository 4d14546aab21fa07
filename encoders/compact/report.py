"""The model card's figures: the built encoder on pictures and names that no training step saw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from encoders.compact.class_names import CLASSES
from encoders.compact.concepts import Concepts, is_unseen
from encoders.compact.features import on_white
from encoders.compact.pictures import TEST_STYLE, Picture
from encoders.evaluation.estimates import Estimate, ratio, share
from encoders.evaluation.naming import named_right, voted_right
from encoders.evaluation.pace import pace, size_bytes
from encoders.evaluation.ranking import Floats, places, recall_among
from encoders.evaluation.space import alignment, uniformity, uniformity_interval
from encoders.load import Encoder

DEPTHS = (1, 5, 10)
DRAWS = {"test": 630, "unseen": 125}
"""Candidates beside all: the mean over all draws of so many."""
Figures = dict[str, Any]


def measure(
    encoder: Encoder, shown: Sequence[Picture], features: np.ndarray, concepts: Concepts, things: set[str]
) -> Figures:
    """Naming and neighbours of photos, retrieval of drawings both ways, names across languages, the space, the pace.

    `features` (n, 1280) are the packaged trunk's of the same pictures, for its own neighbours; drawings are measured
    all together and those of `things` (hexcodes) among themselves.
    """
    needed = [row for row, p in enumerate(shown) if p.group in CLASSES or p.group == TEST_STYLE]
    vectors = np.zeros((len(shown), encoder.spec.dimensions))
    for start in range(0, len(needed), 256):
        rows = needed[start : start + 256]
        vectors[rows] = encoder.encode_images([on_white(shown[row].read()) for row in rows])
    figures: Figures = {group: photos(encoder, shown, vectors, features, group) for group in CLASSES}
    for split in DRAWS:
        rows = [i for i, p in enumerate(shown) if p.group == TEST_STYLE and p.split == split]
        figures[f"{TEST_STYLE} {split}"] = drawings(encoder, shown, vectors, rows, DRAWS[split])
        named = [row for row in rows if shown[row].concept in things]
        figures[f"{TEST_STYLE} {split} things"] = drawings(encoder, shown, vectors, named, DRAWS[split])
    figures["names zh to en"] = across_languages(encoder, concepts)
    figures["pace"] = paces(encoder, [on_white(shown[row].read()) for row in needed[:320]], concepts)
    return figures


def photos(encoder: Encoder, shown: Sequence[Picture], vectors: Floats, features: np.ndarray, group: str) -> Figures:
    """Zero-shot top-1 and top-5 by plain class name; votes of the ten nearest training photos."""
    labels = list(CLASSES[group])
    rows = {
        split: [i for i, p in enumerate(shown) if p.group == group and p.split == split] for split in ("train", "test")
    }
    known, truth = (np.array([labels.index(shown[i].concept) for i in rows[split]]) for split in ("train", "test"))
    found: Figures = {}
    for side, language in enumerate(("zh", "en")):
        names = encoder.encode_texts([CLASSES[group][label][side] for label in labels]).astype(np.float64)
        for depth in (1, 5):
            found[f"top-{depth} {language}"] = told(share(named_right(vectors[rows["test"]], names, truth, depth)))
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    for name, space in (("kNN", vectors), ("trunk's kNN", unit.astype(np.float64))):
        hits = voted_right(space[rows["train"]], known, space[rows["test"]], truth)
        found[name] = told(share(hits))
    return found


def drawings(encoder: Encoder, shown: Sequence[Picture], vectors: Floats, rows: Sequence[int], drawn: int) -> Figures:
    """Recall at 1, 5 and 10 of drawings by label, both ways, among all `rows` and among `drawn` of them; alignment and
    uniformity."""
    drawn = min(drawn, len(rows))
    found: Figures = {"candidates": len(rows)}
    for language in ("zh", "en"):
        names = [shown[i].chinese if language == "zh" else shown[i].english for i in rows]
        texts = encoder.encode_texts(names).astype(np.float64)
        likeness = texts @ vectors[rows].T
        for way, matrix in (("text to image", likeness), ("image to text", likeness.T)):
            above = places(matrix)
            for depth in DEPTHS:
                found[f"{way} R@{depth} {language}"] = told(share(above < depth))
            among = recall_among(above, len(rows), drawn, 10)
            found[f"{way} R@10 {language} among {drawn}"] = told(ratio(among, np.ones(len(among))))
        found[f"alignment {language}"] = told(_mean(alignment(texts, vectors[rows])))
    low, high = uniformity_interval(vectors[rows])
    found["uniformity"] = {"value": round(uniformity(vectors[rows]), 3), "low": round(low, 3), "high": round(high, 3)}
    return found


def across_languages(encoder: Encoder, concepts: Concepts) -> Figures:
    """Chinese labels of unseen concepts find their English labels: among those, and among all concepts' labels."""
    unseen = np.array([is_unseen(code) for code in concepts])
    chinese, english = (
        encoder.encode_texts([names[side][0] for names in concepts.values()]).astype(np.float64) for side in (0, 1)
    )
    likeness = chinese @ english.T
    everywhere, unseen_only = places(likeness)[unseen], places(likeness[np.ix_(unseen, unseen)])
    return {
        f"R@{depth} among {name}": told(share(above < depth))
        for name, above in ((f"{unseen.sum()} unseen", unseen_only), (f"{len(unseen)} of all", everywhere))
        for depth in (1, 10)
    }


def paces(encoder: Encoder, pictures: list[Image.Image], concepts: Concepts) -> Figures:
    """Contents per second in batches of 32 and milliseconds of one alone, decoded pictures and labels."""
    texts = [name[0] for names in concepts.values() for name in names]
    found = {"pictures": pace(encoder.encode_images, pictures), "texts": pace(encoder.encode_texts, texts)}
    return {
        kind: {
            "per second": told(taken.per_second, 1),
            "median ms": round(taken.median_ms, 2),
            "95th percentile ms": round(taken.p95_ms, 2),
        }
        for kind, taken in found.items()
    }


def sizes(folder: Path) -> Figures:
    """Bytes of what is committed."""
    return {name: size_bytes(folder / name) for name in ("weights.safetensors", "tokenizer.json")}


def _mean(values: Floats) -> Estimate | None:
    return ratio(values, np.ones(len(values)))


def told(estimate: Estimate | None, digits: int = 4) -> Figures:
    """As it stands in metrics.json. Raises ValueError of no units."""
    if estimate is None:
        raise ValueError("a figure without units")
    return {key: round(value, digits) if isinstance(value, float) else value for key, value in asdict(estimate).items()}
