"""The comparison itself: both encoders' vectors, the tasks, what lies between the spaces, the verdict."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from encoders.evaluation.estimates import Difference, Estimate, holm
from encoders.spec import EncoderSpec
from pipelines.errors import NothingToCompareError
from pipelines.evaluation.measure import Figure
from pipelines.governance.home import open_home
from pipelines.point_in_time.published import Published
from pipelines.releases.compare import DEFAULT_MARGIN
from pipelines.releases.compare.bridging import bridge_figures
from pipelines.releases.compare.classes import PICTURE_NEIGHBOURS, SENTIMENT, TEXT_NEIGHBOURS, ZERO_SHOT
from pipelines.releases.compare.interests import Behaviour
from pipelines.releases.compare.next_purchase import NEXT_PURCHASE
from pipelines.releases.compare.retrieval import REVIEW_TO_PRODUCT, SEARCH_TO_PICTURE, TITLE_TO_PICTURE
from pipelines.releases.compare.shop import read_shop
from pipelines.releases.compare.spaces import drift_figures, pace_of, same_space, slices_of, stability_figures
from pipelines.releases.compare.task import Case, Lacking, Outcome, Scores, Task, differing, estimated
from pipelines.releases.compare.vectors import Encoding, Space, encoding_apart, space_of, wanted_contents
from pipelines.releases.compare.verdict import SAME_COSINE, Verdict, judged
from pipelines.releases.pin import default_release
from pipelines.settings import Settings

TASKS: Mapping[str, tuple[Task, ...]] = {
    "clip": (TITLE_TO_PICTURE, SEARCH_TO_PICTURE, ZERO_SHOT, PICTURE_NEIGHBOURS, NEXT_PURCHASE),
    "review": (REVIEW_TO_PRODUCT, SENTIMENT, TEXT_NEIGHBOURS),
}
_MODALITY = {"clip": "product_image", "review": "review"}
"""What users' interests are made of, in the tables of a release's part."""
# Slices of fewer units are left out.
_LEAST = 8


@dataclass(frozen=True)
class Slice:
    """A task within one group of units: both encoders' values and their difference, not corrected."""

    task: str
    grouping: str
    group: str
    before: Estimate
    after: Estimate
    difference: Difference


@dataclass(frozen=True)
class Comparison:
    """All that was found. `paces` are contents per second by modality, of either encoder."""

    home: str
    part: str
    case: Case
    outcomes: tuple[Outcome, ...]
    lacking: tuple[tuple[Task, str], ...]
    slices: tuple[Slice, ...]
    drift: tuple[Figure, ...]
    stability: tuple[Figure, ...]
    bridge: tuple[Figure, ...]
    paces: tuple[dict[str, Estimate], dict[str, Estimate]]
    verdict: Verdict
    margin: float
    cores: int
    core_hour_price: float | None

    @property
    def spaces(self) -> tuple[Space, Space]:
        return self.case.spaces


def compare(
    settings: Settings,
    before: EncoderSpec,
    after: EncoderSpec,
    *,
    margin: float = DEFAULT_MARGIN,
    core_hour_price: float | None = None,
    encoding: Encoding | None = None,
    announce: Callable[[str], None] = lambda step: None,
) -> Comparison:
    """Compare two encoders on a home. `margin` is the difference that does not matter, `encoding` how what is new
    becomes vectors (default: in a process of its own).

    Raises HomeError, NothingToCompareError, EncoderUnusableError, EncoderMismatchError, TableError.
    """
    part = part_of(before, after)
    case = case_on(settings, (before, after), encoding, announce)
    announce("measuring")
    outcomes, lacking = _taken(TASKS[part], case)
    if not outcomes:
        reasons = "; ".join(f"{task.name}: {reason}" for task, reason in lacking)
        raise NothingToCompareError(f"home {settings.home} has too little to compare encoders by ({reasons})")
    verdict = judged(outcomes, (before.key, after.key), margin, same_space=same_space(case, SAME_COSINE))
    return Comparison(
        home=settings.under_home(),
        part=part,
        case=case,
        outcomes=tuple(outcomes),
        lacking=tuple(lacking),
        slices=tuple(s for outcome in outcomes for s in _slices(outcome)),
        drift=drift_figures(case),
        stability=stability_figures(case, _MODALITY[part]),
        bridge=bridge_figures(case, part),
        paces=(pace_of(case.before), pace_of(case.after)),
        verdict=verdict,
        margin=margin,
        cores=settings.cores,
        core_hour_price=core_hour_price,
    )


def part_of(before: EncoderSpec, after: EncoderSpec) -> str:
    """The part of a release that both can play: "clip" where both take pictures, else "review".

    Raises NothingToCompareError for one encoder named twice, or one of pictures alone.
    """
    if before == after:
        raise NothingToCompareError(f"both are encoder {before.key} from {before.uri}; name two")
    common = set(before.modalities) & set(after.modalities)
    if "text" not in common:
        raise NothingToCompareError(f"{before.key} takes {before.modalities}, {after.key} {after.modalities}")
    return "clip" if "image" in common else "review"


def case_on(
    settings: Settings,
    specs: tuple[EncoderSpec, EncoderSpec],
    encoding: Encoding | None,
    announce: Callable[[str], None],
) -> Case:
    """Two encoders' vectors of all that a home has to compare them by. Raises as `compare`."""
    open_home(settings, create=False)
    announce("reading the home")
    published = Published(settings, default_release(settings), datetime.now(UTC))
    shop = read_shop(published)
    contents, spaces = wanted_contents(shop, part_of(*specs)), []
    for spec in specs:
        announce(f"encoding with {spec.key}")
        space = space_of(spec, contents, shop, published, encoding or encoding_apart(settings))
        if not space.vectors:
            raise NothingToCompareError(f"encoder {spec.key} gives no vector for any of {len(contents)} contents")
        spaces.append(space)
    return Case(shop, Behaviour.of(published), *spaces)


def _taken(tasks: Sequence[Task], case: Case) -> tuple[list[Outcome], list[tuple[Task, str]]]:
    found: list[tuple[Task, Scores, Difference]] = []
    lacking = []
    for task in tasks:
        scores = task.set(case)
        if isinstance(scores, Lacking):
            lacking.append((task, scores.reason))
        else:
            found.append((task, scores, differing(scores)))
    corrected = holm([difference.p for _, _, difference in found])
    outcomes = [
        Outcome(task, scores, estimated(scores.before), estimated(scores.after), difference, p)
        for (task, scores, difference), p in zip(found, corrected, strict=True)
    ]
    return outcomes, lacking


def _slices(outcome: Outcome) -> list[Slice]:
    scores, found = outcome.scores, []
    for grouping, labels in scores.slices.items():
        for group in slices_of(labels, _LEAST):
            inside = [place for place, label in enumerate(labels) if label == group]
            part = Scores(scores.unit, scores.quantity, scores.before[inside], scores.after[inside])
            values = estimated(part.before), estimated(part.after), differing(part)
            found.append(Slice(outcome.task.name, grouping, group, *values))
    return found
