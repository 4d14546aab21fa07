"""The parts of compact-clip's recipe, on small data made here."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from encoders.compact import assemble, features, manifest, open_vocabulary, texts
from encoders.compact.class_names import CLASSES
from encoders.compact.concepts import UNSEEN, is_unseen
from encoders.compact.head import Bank, Examples, Recipe, apply, fit, start_linear
from encoders.compact.pictures import Picture
from encoders.evaluation.estimates import Estimate


def drawing(colour: str, group: str = "openmoji", split: str = "train") -> Picture:
    picture = Image.new("RGBA", (64, 48), (0, 0, 0, 0))
    picture.paste(colour, (8, 8, 40, 30))
    return Picture(group, colour, split, colour, colour, partial(picture.copy))


def test_a_run_that_was_cut_off_goes_on_where_it_was(tmp_path: Path) -> None:
    shown = [drawing("red"), drawing("blue", split="test"), drawing("green", "grocery")]
    whole = np.array(features.extract(shown, tmp_path / "whole", part=2))
    assert whole.shape == (2 + 1 + 4, 1280)
    assert features.first_rows(shown).tolist() == [0, 2, 3]
    # As a kill leaves it: a group that is done, a part that is, one half written.
    cut = tmp_path / "cut"
    cut.mkdir()
    np.save(cut / "openmoji.npy", whole[:3])
    with (cut / "grocery-000000.part").open("wb") as file:
        np.save(file, whole[3:5])
    (cut / "grocery-000002.writing").write_bytes(b"half")
    assert np.allclose(features.extract(shown, cut, part=2), whole, atol=1e-4)
    assert sorted(path.name for path in cut.iterdir()) == ["grocery.npy", "openmoji.npy"]


def test_the_first_view_is_what_the_encoder_sees_and_others_depend_on_the_seed_alone() -> None:
    picture = drawing("red").read()
    plain = np.array(features.view(picture, 0, True, "a"))
    assert plain.shape == (224, 224, 3)
    assert (plain[0, 0] == 255).all()
    first, again, other = (np.array(features.view(picture, 1, True, seed)) for seed in ("a", "a", "b"))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_the_head_starts_as_ridge_regression_and_learns_the_names() -> None:
    generator = torch.Generator().manual_seed(0)
    names = torch.nn.functional.normalize(torch.randn(12, 16, generator=generator), dim=-1)
    rows = torch.arange(12).repeat(20)
    hidden = torch.randn(12, 24, generator=generator)
    inputs = hidden[rows] + 0.8 * torch.randn(240, 24, generator=generator)
    weight = torch.ones(240)
    head = start_linear(inputs, names[rows], weight, ridge=0.01)
    x = ((inputs - inputs.mean(0)) / inputs.std(0, unbiased=False)).double()
    y = names[rows].double()
    solved = torch.linalg.solve(x.T @ x / 240 + 0.01 * torch.eye(24), x.T @ (y - y.mean(0)) / 240)
    assert torch.allclose(head(inputs).double(), x @ solved + y.mean(0), atol=1e-4)
    examples = Examples(
        views=inputs,
        first=torch.arange(240),
        count=torch.ones(240, dtype=torch.int64),
        name=rows,
        style=rows % 2,
        weight=weight,
        soft=names[rows],
    )
    before = (apply(head, inputs.numpy()) @ names.numpy().T).argmax(1) == rows.numpy()
    fit(head, examples, Bank(names, names), Recipe(steps=60, batch=64, negatives=6, inner_rate=1e-2), seed=0)
    after = (apply(head, inputs.numpy()) @ names.numpy().T).argmax(1) == rows.numpy()
    assert after.mean() > before.mean()


def test_packed_weights_come_back() -> None:
    rows = torch.randn(50, 16)
    state = {assemble.EMBEDDINGS: rows, "other": torch.randn(4, 4)}
    back = assemble.unpack(assemble.pack(state))
    assert torch.allclose(back["other"].float(), state["other"], atol=1e-3)
    assert torch.nn.functional.cosine_similarity(back[assemble.EMBEDDINGS].float(), rows).min() > 0.999


def test_unseen_concepts_are_an_eighth_and_their_labels_stand_in_no_pair() -> None:
    codes = [f"1F{number:03X}" for number in range(2000)]
    assert sum(map(is_unseen, codes)) / 2000 == pytest.approx(UNSEEN, abs=0.02)
    unseen = next(code for code in codes if is_unseen(code))
    seen = next(code for code in codes if not is_unseen(code))
    concepts = {unseen: (["独角兽", "动物"], ["unicorn"]), seen: (["苹果"], ["red apple"])}
    pairs = [("独角兽", "unicorn"), ("麒麟", "Unicorn"), ("苹果", "apple")]
    assert texts.without_unseen(pairs, concepts) == [("苹果", "apple")]


def test_a_fifth_of_the_classes_is_held_out_by_seed() -> None:
    splits = [open_vocabulary.held_out(seed) for seed in range(open_vocabulary.SPLITS)]
    assert splits == [open_vocabulary.held_out(seed) for seed in range(open_vocabulary.SPLITS)]
    assert [sum(group == "clothing" for group, _ in split) for split in splits] == [2] * 5
    assert [sum(group == "grocery" for group, _ in split) for split in splits] == [9] * 5


def test_held_out_classes_are_named_among_all_classes() -> None:
    shown = [
        Picture(group, label, split, "", "", lambda: Image.new("RGB", (8, 8)))
        for group, labels in CLASSES.items()
        for label in labels
        for split in ("train", "test")
    ]
    sizes = {group: len(labels) for group, labels in CLASSES.items()}
    names = {group: (np.eye(60)[:size], np.eye(60)[:size]) for group, size in sizes.items()}
    right = np.eye(60)[[list(CLASSES[picture.group]).index(picture.concept) for picture in shown]]
    asked: list[tuple[str, int]] = []

    def vectors(name: str, left_out: set[tuple[str, str]]) -> np.ndarray:
        asked.append((name, len(left_out)))
        return right if name.startswith("split") else np.roll(right, 1, axis=1)

    found = open_vocabulary.measure(shown, names, vectors)
    assert asked == [*((f"split-{seed}", 11) for seed in range(5)), *OTHERS]
    top = found["grocery held-out top-5 zh"]
    assert isinstance(top, Estimate)
    assert (top.value, top.count) == (1.0, 5 * 9 * 2)
    assert found["clothing top-1 en, the other photos only"].value == 0.0


OTHERS = [("no-photos", 53), ("without-clothing", 10), ("without-grocery", 43)]


def test_the_manifest_names_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"npm install .* emojibase-data"):
        manifest.describe(tmp_path, tmp_path)
