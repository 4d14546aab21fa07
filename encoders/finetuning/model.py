"""An encoder that is being fine-tuned: opened from its directory, written beside it in the same format."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch.nn import functional

from encoders.clip_encoder import open_directory, picture_side
from encoders.finetuning.towers import PictureTower, TextTower, Trained

WEIGHTS = "open_clip_model.safetensors"


class TunableClip:
    """A directory in open_clip's format, cut into what stays and what is trained.

    Raises NotTunableError where its towers end in nothing that could be trained on pooled features.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        model, preprocess, tokenizer = open_directory(str(directory))
        model.eval().requires_grad_(False)
        self.picture_side = picture_side(model)
        self._pictures = PictureTower(model, preprocess)
        self._texts = TextTower(model, tokenizer)

    def picture_features(self, pictures: Sequence[Image.Image]) -> torch.Tensor:
        """RGB pictures -> (n, features) float32."""
        return self._pictures.features(pictures)

    def text_inputs(self, texts: Sequence[str]) -> torch.Tensor:
        """What is kept of texts, (n, …)."""
        return self._texts.inputs(texts)

    def adapters(self, material: Material) -> Adapters:
        """The trained parts over the features of all that is learned from or judged by."""
        text, inputs = self._texts.trained(material.text_inputs)
        return Adapters(self._pictures.trained, text, Material(material.features, material.members, inputs))

    def write(self, target: Path, adapters: Adapters) -> None:
        """The directory with the trained tensors, in the precision it keeps; `target` must not exist."""
        scratch = target.with_name(f".{target.name}.part")
        shutil.rmtree(scratch, ignore_errors=True)
        shutil.copytree(self.directory, scratch, ignore=shutil.ignore_patterns(WEIGHTS, "*.md"))
        whole = load_file(self.directory / WEIGHTS)
        save_file(whole | adapters.picture.tensors(whole) | adapters.text.tensors(whole), scratch / WEIGHTS)
        # safetensors writes for its user alone; workers may be another one.
        (scratch / WEIGHTS).chmod(0o644)
        scratch.rename(target)


@dataclass(frozen=True)
class Material:
    """What the frozen parts gave: `features` (pictures, f), `text_inputs` (texts, …); and `members` (contents, most),
    the places of each content's pictures, filled up with -1."""

    features: torch.Tensor
    members: torch.Tensor
    text_inputs: torch.Tensor


class Adapters:
    """Both trained parts over their material; gives vectors of unit length."""

    def __init__(self, picture: Trained, text: Trained, material: Material) -> None:
        self.picture, self.text, self.material = picture, text, material

    def named_parameters(self) -> dict[str, torch.nn.Parameter]:
        """Every trained parameter by side and name."""
        sides = {"picture": self.picture, "text": self.text}
        return {
            f"{side}.{name}": trained.module.get_parameter(name)
            for side, trained in sides.items()
            for name in trained.names
        }

    def contents(self, places: torch.Tensor) -> torch.Tensor:
        """(n,) -> (n, d): the direction of the mean of a content's pictures, as in the tables; zero without any."""
        members = self.material.members[places]
        rows, columns = torch.nonzero(members >= 0, as_tuple=True)
        pictures, inverse = torch.unique(members[rows, columns], return_inverse=True)
        units = functional.normalize(self.picture.module(self.material.features[pictures]), dim=-1)
        summed = torch.zeros(len(places), units.shape[1]).index_add(0, rows, units[inverse])
        return functional.normalize(summed, dim=-1)

    def texts(self, places: torch.Tensor) -> torch.Tensor:
        """(n,) -> (n, d)."""
        return functional.normalize(self.text.module(self.material.text_inputs[places]), dim=-1)

    def all_contents(self) -> torch.Tensor:
        """(contents, d), without gradients."""
        return self._all(len(self.material.members), self.contents)

    def all_texts(self) -> torch.Tensor:
        """(texts, d), without gradients."""
        return self._all(len(self.material.text_inputs), self.texts)

    @staticmethod
    def _all(count: int, vectors: object, at_once: int = 4096) -> torch.Tensor:
        with torch.no_grad():
            parts = [vectors(torch.arange(start, min(start + at_once, count))) for start in range(0, count, at_once)]  # type: ignore[operator]
        return torch.cat(parts) if parts else torch.zeros(0, 1)
