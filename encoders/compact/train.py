"""Rebuilds the committed weights: `python -m encoders.compact.train --sources DIR --photos DIR --work DIR`.

Needs the `train` extra and, in `--sources`, `node_modules/` with the packages of `manifest.NPM`
(`npm install --prefix DIR NAME@VERSION …`) and `debian/` with `openclipart-png` and `iso-codes`
unpacked (`dpkg -x`). `--photos` is the folder of labelled photos and reviews. `--work` keeps what is
done: after a kill the same command goes on. Seeded; results agree between machines up to rounding.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer

from encoders.bundled import default_cache_dir, file_checksum, prepare
from encoders.compact import (
    assemble,
    features,
    image_tower,
    manifest,
    open_vocabulary,
    pictures,
    report,
    student,
    teacher,
    texts,
    tokenizer,
)
from encoders.compact.class_names import CLASSES
from encoders.compact.concepts import Concepts, emoji_concepts, things
from encoders.compact.head import Head, apply
from encoders.e5_weights import package_file
from encoders.load import load
from encoders.spec import resolve

SEED = 0
TEXT_STEPS, ASCII_PIECES, DIMENSIONS = 2000, 22_000, 512
Embed = Callable[[list[str]], torch.Tensor]


def main() -> None:
    """Train both towers; write weights, tokenizer, manifest and metrics beside this file."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("sources", "photos", "work"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    begin(arguments.work, manifest.describe(arguments.sources, arguments.photos))

    emojibase = arguments.sources / "node_modules" / "emojibase-data"
    concepts = emoji_concepts(emojibase)
    shown = pictures.everything(arguments.sources, arguments.photos, concepts)
    tower, embed = text_tower(arguments, shown, concepts)
    seen = features.extract(shown, arguments.work / "features")
    head = image_tower.stage(arguments.work / "head.safetensors", shown, seen, embed, set(), SEED)
    save(arguments.work, tower, head)

    plain = seen[features.first_rows(shown)]

    def vectors(name: str, left_out: set[tuple[str, str]]) -> np.ndarray:
        made = image_tower.stage(arguments.work / f"{name}.safetensors", shown, seen, embed, left_out, SEED)
        return apply(made, plain)

    names = {
        group: (embed([zh for zh, _ in labels.values()]).numpy(), embed([en for _, en in labels.values()]).numpy())
        for group, labels in CLASSES.items()
    }
    open_figures = open_vocabulary.measure(shown, names, vectors)
    prepare(default_cache_dir())
    encoder = load(resolve("bundled:compact-clip"), threads=arguments.threads)
    figures = report.measure(encoder, shown, plain, concepts, things(emojibase))
    figures["open vocabulary"] = {key: report.told(value) for key, value in open_figures.items()}
    figures["size"] = report.sizes(assemble.HERE)
    _write_json(assemble.HERE / "metrics.json", figures)


def begin(work: Path, read: dict[str, Any]) -> None:
    """Write the manifest, here and beside this file; refuse a work folder that was begun with other data or settings.

    Raises ValueError for such a folder.
    """
    work.mkdir(parents=True, exist_ok=True)
    settings = {"seed": SEED, "text_steps": TEXT_STEPS, "ascii_pieces": ASCII_PIECES, **asdict(image_tower.RECIPE)}
    described = {"settings": settings, "sources": read}
    begun = work / "manifest.json"
    if begun.exists() and json.loads(begun.read_text(encoding="utf-8")) != described:
        raise ValueError(f"{work} was begun with other data or settings: give an empty folder")
    _write_json(begun, described)
    _write_json(assemble.HERE / "manifest.json", described)


def text_tower(arguments: argparse.Namespace, shown: list[pictures.Picture], concepts: Concepts) -> tuple[Any, Embed]:
    """The text tower and a function from texts to unit vectors, from the work folder where it is already made."""
    folder: Path = arguments.work / "text"
    if not (folder / "tower.safetensors").exists():
        _train_text(arguments, folder, shown, concepts)
    cut = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tower = student.build(folder, DIMENSIONS)
    tower.load_state_dict(load_file(folder / "tower.safetensors"), strict=False)
    tower.eval()
    return tower, lambda names: student.embed(tower, student.token_ids(cut, names))


def _train_text(arguments: argparse.Namespace, folder: Path, shown: list[pictures.Picture], concepts: Concepts) -> None:
    titles = sorted({picture.english for picture in shown if picture.group == "clip-art"}) + image_tower.imagenet()
    corpus = texts.corpus(arguments.sources, arguments.photos, concepts, titles, SEED)
    own = teacher.vectors(corpus.taught, arguments.work / "teacher", arguments.threads)
    folder.mkdir(exist_ok=True)
    cut = tokenizer.build(package_file(), corpus.texts, ASCII_PIECES)
    cut.save(str(folder / "tokenizer.json"))
    config = json.loads((assemble.HERE / "config.json").read_text(encoding="utf-8"))
    _write_json(folder / "config.json", {**config, "vocab_size": cut.get_vocab_size()})
    place = {text: index for index, text in enumerate(corpus.texts)}
    lessons = student.Lessons(
        rows=student.token_ids(cut, corpus.texts),
        taught=np.array([place[text] for text in corpus.taught]),
        goals=teacher.goals(corpus.taught, own, corpus.pairs),
        pairs=np.array([[place[text] for text in pair] for pair in corpus.pairs]),
        weight=np.array(corpus.weight),
    )
    torch.manual_seed(SEED)
    tower = student.build(folder, DIMENSIONS)
    student.fit(tower, lessons, steps=TEXT_STEPS, seed=SEED)
    assemble.save_whole(tower.state_dict(), folder / "tower.safetensors")


def save(work: Path, tower: Any, head: Head) -> None:
    """Commit-ready files, and the checksum of what set-up will build from them."""
    state = {f"visual.head.mlp.{name}": tensor for name, tensor in head.state_dict().items()}
    buffers = ("position_ids", "token_type_ids")
    state.update({f"text.{name}": tensor for name, tensor in tower.state_dict().items() if not name.endswith(buffers)})
    state["logit_scale"] = torch.tensor(1 / image_tower.RECIPE.temperature).log()
    save_file(assemble.pack(state), assemble.WEIGHTS)
    for name in ("tokenizer.json", "config.json"):
        shutil.copyfile(work / "text" / name, assemble.HERE / name)
    checksums = assemble.HERE.parent / "bundled_checksums.json"
    known = json.loads(checksums.read_text(encoding="utf-8"))
    _write_json(checksums, {**known, "compact-clip": file_checksum(assemble.built_weights())})


def _write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
