"""Takes every measure of a home against a truth."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from pipelines.errors import TableNotFoundError
from pipelines.evaluation.measure import Absent, Evidence, Measure, Measured
from pipelines.evaluation.measures import MEASURES
from pipelines.evaluation.report import Evaluation
from pipelines.evaluation.truth import Truth
from pipelines.governance.home import open_home
from pipelines.point_in_time.published import Published
from pipelines.releases.manifest import Release
from pipelines.settings import Settings


def evaluate(
    settings: Settings,
    release: Release,
    truth: Truth,
    as_of: datetime | None = None,
    measures: Sequence[Measure] = MEASURES,
) -> Evaluation:
    """Compare what a release has published with the truth, at `as_of` (aware; default: the end of the shop's time).

    Raises HomeError, TruthError.
    """
    open_home(settings, create=False)
    moment = as_of or truth.end
    evidence = Evidence(truth, Published(settings, release, moment))
    facts = {name: str(truth.facts[name]) for name in ("users", "days", "mix", "seed")}
    facts |= {"as of": moment.isoformat(), "release": release.name}
    facts |= {f"{part} encoder": spec.key for part, spec in release.encoders.items()}
    return Evaluation(facts, [(measure, _taken(measure, evidence)) for measure in measures])


def _taken(measure: Measure, evidence: Evidence) -> Measured | Absent:
    try:
        return measure.take(evidence)
    except TableNotFoundError as error:
        return Absent(str(error))
