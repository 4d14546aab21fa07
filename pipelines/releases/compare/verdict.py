"""Which of two encoders is better, at what, and whether the difference is real."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pipelines.releases.compare.task import Outcome

Call = Literal["better", "worse", "equal", "open"]
Overall = Literal["better", "worse", "mixed", "equal", "open", "broken"]
ALPHA = 0.05
# Vectors as like as this are exchangeable: the same encoder in another precision.
SAME_COSINE = 0.995


@dataclass(frozen=True)
class Verdict:
    """What the second encoder is beside the first, and a sentence for people."""

    overall: Overall
    sentence: str
    calls: dict[str, Call]


def call(outcome: Outcome, margin: float) -> Call:
    """Of one task. "equal" only where the whole interval lies within the margin; "open" where neither is shown."""
    difference = outcome.difference
    if -margin <= difference.low and difference.high <= margin:
        return "equal"
    if outcome.p < ALPHA:
        return "better" if difference.value > 0 else "worse"
    return "open"


def judged(outcomes: Sequence[Outcome], names: tuple[str, str], margin: float, *, same_space: bool) -> Verdict:
    """The verdict on the second of two encoders.

    "broken" is one that is worse and, at most tasks that the first is good at, no better than chance.
    """
    calls = {outcome.task.name: call(outcome, margin) for outcome in outcomes}
    better = [o for o in outcomes if calls[o.task.name] == "better"]
    worse = [o for o in outcomes if calls[o.task.name] == "worse"]
    if worse and not better and _is_broken(outcomes):
        overall: Overall = "broken"
    elif better and worse:
        overall = "mixed"
    elif better or worse:
        overall = "better" if better else "worse"
    else:
        overall = "equal" if same_space or all(found == "equal" for found in calls.values()) else "open"
    return Verdict(overall, _sentence(overall, outcomes, calls, names, margin, same_space=same_space), calls)


def _is_broken(outcomes: Sequence[Outcome]) -> bool:
    known = [o for o in outcomes if o.scores.chance is not None and o.before.low > o.scores.chance]
    lost = [o for o in known if _excess(o.after.value, o) < 0.2 * _excess(o.before.value, o)]
    return bool(known) and 2 * len(lost) > len(known)


def _excess(value: float, outcome: Outcome) -> float:
    return value - (outcome.scores.chance or 0.0)


def _sentence(
    overall: Overall,
    outcomes: Sequence[Outcome],
    calls: dict[str, Call],
    names: tuple[str, str],
    margin: float,
    *,
    same_space: bool,
) -> str:
    first, second = names
    said = {name: [o for o in outcomes if calls[o.task.name] == name] for name in ("better", "worse", "equal", "open")}
    rest = _rest(said, margin)
    if overall == "equal":
        why = "; nearly all their vectors are the same" if same_space else ""
        return f"{second} is as good as {first}: no real difference at any of {len(outcomes)} tasks{why}."
    if overall == "open":
        return f"Whether {second} is better than {first} cannot be told: no difference is real{rest}."
    if overall == "broken":
        return (
            f"{second} is broken: at most tasks no better than chance; worse than {first} at {_listed(said['worse'])}."
        )
    corrected = f" The differences are real (p < {ALPHA}, corrected for {len(outcomes)} tasks)"
    if overall == "mixed":
        told = f"{second} is better than {first} at {_listed(said['better'])}, and worse at {_listed(said['worse'])}."
    else:
        told = f"{second} is {overall} than {first} at {_listed(said[overall])}."
    return f"{told}{corrected}{rest}."


def _rest(said: dict[str, list[Outcome]], margin: float) -> str:
    parts = []
    if said["equal"]:
        parts.append(f"within {margin:g} of each other at {', '.join(_named(o) for o in said['equal'])}")
    if said["open"]:
        parts.append(f"not told apart at {', '.join(_named(o) for o in said['open'])}")
    return "; " + "; ".join(parts) if parts else ""


def _listed(outcomes: Sequence[Outcome]) -> str:
    return ", ".join(
        f"{_named(o)} ({o.before.value:.3f} → {o.after.value:.3f}, {o.difference.value:+.3f} "
        f"[{o.difference.low:+.3f}, {o.difference.high:+.3f}])"
        for o in outcomes
    )


def _named(outcome: Outcome) -> str:
    return f"“{outcome.task.title}”"
