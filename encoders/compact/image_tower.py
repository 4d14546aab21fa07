"""The image head's training examples: pictures with their names, and the trunk's own classes as pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch.nn import functional

from encoders.compact import assemble, head, trunk
from encoders.compact.features import first_rows, view_count
from encoders.compact.pictures import Picture

Embed = Callable[[list[str]], torch.Tensor]
RECIPE = head.Recipe()
GROUP_SHARES = {"clothing": 0.17, "grocery": 0.2, "imagenet": 0.08, "clip-art": 0.1}
"""Shares of a batch; the drawing styles have the rest, each picture alike."""


def imagenet() -> list[str]:
    """English names of the trunk's 1,000 classes, in its order."""
    from torchvision.models._meta import _IMAGENET_CATEGORIES

    return list(_IMAGENET_CATEGORIES)


def stage(
    kept: Path, shown: Sequence[Picture], seen: np.ndarray, embed: Embed, left_out: set[tuple[str, str]], seed: int
) -> head.Head:
    """The head trained on all training pictures but those of the (group, concept) pairs left out; `kept` is read
    where it is already made."""
    trained = head.Head(seen.shape[1], 512)
    if not kept.exists():
        train = [i for i, p in enumerate(shown) if p.split == "train" and (p.group, p.concept) not in left_out]
        trained = fit(shown, train, seen, embed, RECIPE, seed)
        assemble.save_whole(trained.state_dict(), kept)
    trained.load_state_dict(load_file(kept))
    return trained.eval()


def fit(
    shown: Sequence[Picture], train: Sequence[int], seen: np.ndarray, embed: Embed, recipe: head.Recipe, seed: int
) -> head.Head:
    """A head for the training pictures `train`; `seen` (all views, 1280) are the trunk's features of all pictures."""
    bank, names, categories = _bank([shown[index] for index in train], embed)
    packaged = trunk.package_state()
    rows, offset = packaged["classifier.weight"], packaged["classifier.bias"]
    starts, counts = first_rows(shown)[train], np.array([view_count(shown[index]) for index in train])
    views = torch.from_numpy(seen)
    plain = views[starts]
    likely = torch.softmax(plain @ rows.T + offset, dim=-1).topk(10)
    believed = (likely.values[..., None] * bank.english[categories][likely.indices]).sum(1)
    groups = [shown[index].group for index in train] + ["imagenet"] * len(rows)
    kinds = sorted(set(groups))
    examples = head.Examples(
        views=torch.cat([views, _pseudo_pictures(rows, plain)]),
        first=torch.cat([torch.from_numpy(starts), len(views) + torch.arange(len(rows))]),
        count=torch.cat([torch.from_numpy(counts), torch.ones(len(rows), dtype=torch.int64)]),
        name=torch.cat([names, categories]),
        style=torch.tensor([kinds.index(group) for group in groups]),
        weight=_weights(groups),
        soft=torch.cat([functional.normalize(believed, dim=-1), bank.english[categories]]),
    )
    both = functional.normalize(bank.chinese + bank.english, dim=-1)
    started = head.start_linear(examples.views[examples.first], both[examples.name], examples.weight, recipe.ridge)
    head.fit(started, examples, bank, recipe, seed=seed)
    return started


def _weights(groups: list[str]) -> torch.Tensor:
    drawings = sum(group not in GROUP_SHARES for group in groups)
    rest = 1 - sum(GROUP_SHARES.values())
    counts = {group: groups.count(group) for group in GROUP_SHARES}
    return torch.tensor([GROUP_SHARES[g] / counts[g] if g in GROUP_SHARES else rest / drawings for g in groups])


def _bank(train: list[Picture], embed: Embed) -> tuple[head.Bank, torch.Tensor, torch.Tensor]:
    """All distinct names; the bank row of each picture; the rows of the 1000 ImageNet names."""
    keys: dict[tuple[str, str], int] = {}
    rows = [keys.setdefault((picture.chinese, picture.english), len(keys)) for picture in train]
    categories = torch.arange(len(imagenet())) + len(keys)
    # ImageNet's names are English only: they stand for themselves on the Chinese side.
    own = embed(imagenet())
    chinese, english = (embed([key[side] for key in keys]) for side in (0, 1))
    return head.Bank(torch.cat([chinese, own]), torch.cat([english, own])), torch.tensor(rows), categories


def _pseudo_pictures(rows: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
    """Classifier rows (1000, 1280) at the scale of real features: one made-up picture a class."""
    mean = inputs.mean(0)
    positive = torch.relu(rows - rows.mean(0))
    unit = positive / positive.norm(dim=1, keepdim=True)
    return unit * inputs.norm(dim=1).mean() * 0.7 + 0.3 * mean
