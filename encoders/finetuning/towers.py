"""An open_clip model cut in two: what stays as it is, and the last layers of either tower, which are trained.

Of a picture the frozen part gives pooled features, computed once. Of a text it does the same where the tower has
layers of attention; a tower without any is a mean of token vectors, and its token vectors are trained as well.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image

from encoders.errors import NotTunableError

WORDS = "transformer.embeddings.word_embeddings.weight"


class Projection(torch.nn.Module):
    """A matrix that open_clip keeps as a bare parameter: (n, features) -> (n, dimensions)."""

    def __init__(self, weight: torch.Tensor) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(weight.detach().clone())

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return features @ self.weight


@dataclass(frozen=True)
class Trained:
    """The trained part of a tower: from what the frozen part gives to vectors, not yet of unit length.

    `names` maps the part's parameters to the model's tensors; `rows` are the token ids whose vectors are trained,
    None where token vectors stay.
    """

    module: torch.nn.Module
    names: Mapping[str, str]
    rows: torch.Tensor | None = None

    def tensors(self, whole: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """The model's tensors as they are now, in the precision that `whole` (the model's state) keeps them in."""
        found = {}
        for own, name in self.names.items():
            values = self.module.get_parameter(own).detach()
            if self.rows is not None and own == WORDS:
                table = whole[name].clone()
                table[self.rows] = values.to(table.dtype)
                found[name] = table
            else:
                found[name] = values.to(whole[name].dtype).reshape(whole[name].shape).contiguous()
        return found


class PictureTower:
    """The frozen part of a visual tower, and its last layers."""

    def __init__(self, model: Any, preprocess: Any) -> None:
        self._preprocess = preprocess
        visual = model.visual
        if hasattr(visual, "trunk") and len(getattr(visual, "head", ())):
            self._frozen, head, prefix = visual.trunk, visual.head, "visual.head."
            names = {name: prefix + name for name, _ in head.named_parameters()}
        elif isinstance(getattr(visual, "proj", None), torch.nn.Parameter):
            head, names = Projection(visual.proj), {"weight": "visual.proj"}
            visual.proj = None
            self._frozen = visual
        else:
            raise NotTunableError(
                f"its visual tower ({type(visual).__name__}) has no projection after pooling; fine-tune an open_clip "
                "model of a timm trunk with a head, or a vision transformer"
            )
        self._frozen.eval().requires_grad_(False).to(memory_format=torch.channels_last)
        self.trained = Trained(head.train().requires_grad_(True), names)

    def features(self, pictures: Sequence[Image.Image]) -> torch.Tensor:
        """RGB pictures -> (n, features) float32. Raises NotTunableError where they are not pooled."""
        batch = torch.stack([self._preprocess(picture) for picture in pictures])
        with torch.inference_mode():
            found = self._frozen(batch.contiguous(memory_format=torch.channels_last)).float()
        if found.dim() != 2:
            raise NotTunableError("its visual trunk gives a map, not pooled features; choose one that pools")
        return found.clone()


class TextTower:
    """The frozen part of a text tower, and its last layers."""

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._tower: Any = getattr(model, "text", None)
        self._model = model
        self._is_static = getattr(getattr(self._tower, "config", None), "num_hidden_layers", None) == 0
        if self._is_static:
            return
        if self._tower is not None and hasattr(self._tower, "proj"):
            head, prefix = self._tower.proj, "text.proj."
            self._tower.proj = torch.nn.Identity()
            names = {name: prefix + name for name, _ in head.named_parameters()}
        else:
            head, names = self._taken_projection()
        self._trained = Trained(head.train().requires_grad_(True), names)

    def _taken_projection(self) -> tuple[torch.nn.Module, dict[str, str]]:
        holder, prefix = (self._model, "") if self._tower is None else (self._tower, "text.")
        projection = getattr(holder, "text_projection", None)
        if projection is None:
            return torch.nn.Identity(), {}
        holder.text_projection = None
        name = f"{prefix}text_projection"
        if isinstance(projection, torch.nn.Parameter):
            return Projection(projection), {"weight": name}
        return projection, {own: f"{name}.{own}" for own, _ in projection.named_parameters()}

    def inputs(self, texts: Sequence[str]) -> torch.Tensor:
        """What is kept of texts: (n, features) float32, or token ids (n, length) int64 of a tower without layers."""
        tokens = self._tokenizer(list(texts))
        if self._is_static:
            return tokens
        with torch.inference_mode():
            return self._model.encode_text(tokens).float().clone()

    def trained(self, inputs: torch.Tensor) -> tuple[Trained, torch.Tensor]:
        """The part to train and its inputs; of token vectors only those that the inputs name are held."""
        if not self._is_static:
            return self._trained, inputs
        tower = copy.deepcopy(self._tower)
        padding = torch.tensor([tower.config.pad_token_id])
        rows = torch.unique(torch.cat([inputs.reshape(-1), padding]))
        tower.config.pad_token_id = int(torch.searchsorted(rows, padding))
        words = tower.transformer.embeddings.word_embeddings
        tower.transformer.embeddings.word_embeddings = torch.nn.Embedding.from_pretrained(
            words.weight[rows].detach().clone(), freeze=False
        )
        tower.eval().requires_grad_(False)
        tower.get_parameter(WORDS).requires_grad_(True)
        tower.proj.requires_grad_(True)
        names = {n: f"text.{n}" for n, p in tower.named_parameters() if p.requires_grad}
        return Trained(tower, names, rows), _without_padding(torch.searchsorted(rows, inputs), tower)


def _without_padding(tokens: torch.Tensor, tower: Any) -> torch.Tensor:
    """Columns that hold nothing but padding take time and say nothing."""
    longest = int((tokens != tower.config.pad_token_id).sum(dim=1).max()) if len(tokens) else 1
    return tokens[:, : max(longest, 1)].contiguous()
