"""The training loop: steps, judgements in between, early stopping, and a state that a killed run goes on from."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch

from encoders.finetuning.checkpoint import read_checkpoint, write_checkpoint
from encoders.finetuning.lessons import KINDS, TEXT_KINDS, Lessons, drawn
from encoders.finetuning.loss import info_nce, moved
from encoders.finetuning.model import Adapters
from encoders.schedule import warmed_cosine

Judge = Callable[[torch.Tensor], Mapping[str, float]]
SCORE = "score"
_VALIDATION_BATCHES = 4
_WARM_UP = 20
_TRAINING, _VALIDATION = 0, 1  # streams of random numbers


@dataclass(frozen=True)
class Options:
    """How it is trained. `steps` at most, judged every so many; after `patience` judgements without a better one it
    ends. `pairs` of each kind and batch, weighed by `shares`; `keep` is what moving away from the start costs.
    """

    steps: int = 600
    judged_every: int = 25
    patience: int = 6
    pairs: int = 128
    hard: int = 2
    anywhere: int = 128
    picture_rate: float = 3e-4
    text_rate: float = 1e-4
    word_rate: float = 1e-3
    temperature: float = 0.07
    keep: float = 1.0
    shares: Mapping[str, float] = field(default_factory=lambda: dict.fromkeys(KINDS, 1.0))
    seed: int = 1


@dataclass
class Progress:
    """How far a training has come. `curve` has an entry a judgement: step, losses and what the judge said."""

    step: int = 0
    loss_sum: float = 0.0
    best_step: int = 0
    curve: list[dict[str, float]] = field(default_factory=list)

    @property
    def best(self) -> float:
        return max((entry[SCORE] for entry in self.curve), default=-math.inf)

    def is_over(self, options: Options) -> bool:
        """Whether all steps are done, or the last judgements were no better than the best."""
        return self.step >= options.steps or self.step - self.best_step >= options.patience * options.judged_every


class Training:
    """One training of adapters on lessons, judged by the vectors (contents, d) of all contents.

    `validation` are pairs of a later time for the loss on them. With equal arguments and threads every run, cut off or
    not, ends with the same weights.
    """

    def __init__(
        self, adapters: Adapters, lessons: Lessons, validation: Lessons, judge: Judge, options: Options, state: Path
    ) -> None:
        self._adapters, self._lessons, self._validation = adapters, lessons, validation
        self._judge, self._options, self._file = judge, options, state
        self.progress = Progress()
        self._parameters = adapters.named_parameters()
        self._optimiser = torch.optim.Adam(
            [{"params": [p], "rate": _rate(name, options)} for name, p in self._parameters.items()], betas=(0.9, 0.98)
        )
        self._start = adapters.all_contents(), adapters.all_texts()
        self._best = {name: p.detach().clone() for name, p in self._parameters.items()}

    def run(self, announce: Callable[[Progress], None] = lambda progress: None) -> Progress:
        """Train to the end, from the checkpoint where there is one; the adapters then have the best weights."""
        self._resume()
        if not self.progress.curve:
            self._judge_now()
        while not self.progress.is_over(self._options):
            announce(self.progress)
            self.progress.loss_sum += self._step()
            if self.progress.step % self._options.judged_every == 0:
                self._judge_now()
        announce(self.progress)
        with torch.no_grad():
            for name, parameter in self._parameters.items():
                parameter.copy_(self._best[name])
        return self.progress

    def _step(self) -> float:
        step = self.progress.step
        for group in self._optimiser.param_groups:
            group["lr"] = group["rate"] * warmed_cosine(step, self._options.steps, _WARM_UP)
        loss = self._loss(self._lessons, (self._options.seed, _TRAINING, step), keeping=True)
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self._optimiser.step()
        self.progress.step += 1
        return float(loss.detach())

    def _loss(self, lessons: Lessons, seed: tuple[int, ...], *, keeping: bool) -> torch.Tensor:
        options = self._options
        sizes = {kind: options.pairs for kind in KINDS if options.shares.get(kind, 0) > 0}
        batch = drawn(lessons, sizes, options.hard, options.anywhere, seed)
        places = torch.from_numpy(batch.candidates)
        candidates = self._adapters.contents(places)
        total, shares, kept = torch.zeros(()), 0.0, [moved(candidates, self._start[0][places])]
        for part in batch.parts:
            left_places = torch.from_numpy(part.left)
            left = (self._adapters.texts if part.kind in TEXT_KINDS else self._adapters.contents)(left_places)
            right, known = torch.from_numpy(part.right), torch.from_numpy(part.known)
            share = options.shares[part.kind]
            total = total + share * info_nce(left, candidates, right, known, options.temperature)
            shares += share
            if part.kind in TEXT_KINDS:
                kept.append(moved(left, self._start[1][left_places]))
        return total / shares + (options.keep * torch.stack(kept).mean() if keeping else 0.0)

    def _judge_now(self) -> None:
        with torch.no_grad():
            seeds = [(self._options.seed, _VALIDATION, number) for number in range(_VALIDATION_BATCHES)]
            losses = [float(self._loss(self._validation, seed, keeping=False)) for seed in seeds]
        steps = self._options.judged_every if self.progress.step else 1
        said = dict(self._judge(self._adapters.all_contents()))
        if said[SCORE] > self.progress.best:
            self.progress.best_step = self.progress.step
            self._best = {name: p.detach().clone() for name, p in self._parameters.items()}
        entry = {"step": float(self.progress.step), "validation loss": sum(losses) / len(losses)}
        if self.progress.step:
            entry["training loss"] = self.progress.loss_sum / steps
        self.progress.curve.append(entry | said)
        self.progress.loss_sum = 0.0
        self._keep()

    def _keep(self) -> None:
        tensors: dict[str, torch.Tensor] = {f"now/{name}": p for name, p in self._parameters.items()}
        tensors |= {f"best/{name}": p for name, p in self._best.items()}
        for name, parameter in self._parameters.items():
            for moment, value in self._optimiser.state.get(parameter, {}).items():
                tensors[f"{moment}/{name}"] = value
        progress = {
            "step": self.progress.step,
            "best_step": self.progress.best_step,
            "curve": self.progress.curve,
        }
        write_checkpoint(self._file, tensors, progress)

    def _resume(self) -> None:
        found = read_checkpoint(self._file)
        if found is None:
            return
        tensors, progress = found
        self.progress = Progress(progress["step"], 0.0, progress["best_step"], progress["curve"])
        moments = sorted({name.partition("/")[0] for name in tensors} - {"now", "best"})
        with torch.no_grad():
            for name, parameter in self._parameters.items():
                parameter.copy_(tensors[f"now/{name}"])
                self._best[name] = tensors[f"best/{name}"]
                if moments:
                    self._optimiser.state[parameter] = {m: tensors[f"{m}/{name}"] for m in moments}


def _rate(name: str, options: Options) -> float:
    if name.endswith("word_embeddings.weight"):
        return options.word_rate
    return options.picture_rate if name.startswith("picture.") else options.text_rate
