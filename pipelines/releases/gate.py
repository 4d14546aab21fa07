"""May an encoder take the default one's place? Only if it is no worse within the margin, or somebody says why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from encoders.heads.spec import HeadsSpec
from encoders.spec import EncoderSpec
from pipelines.errors import NothingToCompareError
from pipelines.releases.compare.compare import Comparison, compare
from pipelines.releases.compare.tracking import log_comparison
from pipelines.settings import Settings


@dataclass(frozen=True)
class Judgement:
    """Whether a part's new encoder may pass, and why in a sentence."""

    passes: bool
    sentence: str


Announce = Callable[[str], None]
Gate = Callable[[Settings, EncoderSpec, EncoderSpec, float, Announce], Judgement]


def judged_heads(before: HeadsSpec | None, after: HeadsSpec | None) -> Judgement:
    """Heads are not compared: texts with labels are not part of a home. Only a reason lets them pass."""
    names = [heads.key if heads else "none" for heads in (before, after)]
    return Judgement(False, f"heads {names[1]} in place of {names[0]}: nothing here shows that they judge no worse.")


def judged_by_comparison(
    settings: Settings, before: EncoderSpec, after: EncoderSpec, margin: float, announce: Announce
) -> Judgement:
    """Compare on the home, log it in MLflow, and look at every task.

    Raises what `compare` and `log_comparison` raise, but for a home that has too little: nothing is shown then.
    """
    if before.dimensions != after.dimensions:
        return Judgement(
            False,
            f"{after.key} has {after.dimensions} dimensions, {before.key} has {before.dimensions}: "
            "what was trained on the default release's vectors cannot read the new ones",
        )
    try:
        comparison = compare(settings, before, after, margin=margin, announce=announce)
    except NothingToCompareError as error:
        return Judgement(False, str(error))
    logged = log_comparison(comparison, settings)
    lost = losses(comparison)
    said = f"{comparison.verdict.sentence} MLflow run {logged.parent}."
    return Judgement(not lost, said if not lost else f"{said} Not shown to be no worse at: {', '.join(lost)}.")


def losses(comparison: Comparison) -> list[str]:
    """Tasks at which the second encoder loses more than the margin, really or by the best estimate there is.

    Where too little is known, the estimate decides: an open question is no reason to trust. Vectors that are nearly
    all the same are exchangeable, whatever single tasks say.
    """
    if comparison.verdict.overall == "equal":
        return []
    return [
        f"{outcome.task.name} ({outcome.difference.value:+.3f}, margin {comparison.margin:g})"
        for outcome in comparison.outcomes
        if comparison.verdict.calls[outcome.task.name] == "worse" or outcome.difference.value < -comparison.margin
    ]
