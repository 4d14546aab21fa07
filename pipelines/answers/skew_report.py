"""What a comparison of logged answers with the offline features found."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge, write_to_textfile
from pydantic import BaseModel, ConfigDict
from rich.console import Group
from rich.table import Table
from rich.text import Text

from pipelines.governance.runs import StepReport

EXAMPLES = 3


class Example(BaseModel):
    """A value that was answered and the one that is known offline. Times are aware and UTC."""

    model_config = ConfigDict(frozen=True)
    answer_id: str
    subject_id: str | None
    product_id: str | None
    asked_at: str
    online: str
    offline: str


@dataclass
class FeatureSkew:
    """Of one feature of one release: values compared, and those that differ, by why they may (None: not known)."""

    compared: int = 0
    differing: Counter[str | None] = field(default_factory=Counter)
    examples: list[Example] = field(default_factory=list)

    @property
    def unexplained(self) -> int:
        return self.differing[None]

    @property
    def explained_by(self) -> dict[str, int]:
        return {reason: count for reason, count in self.differing.items() if reason is not None}

    @property
    def explained(self) -> int:
        return sum(self.explained_by.values())


@dataclass
class SkewReport:
    """`features` by release and name; `passed_over` counts rows that were not compared, by the reason."""

    taken_in: int = 0
    rows: int = 0
    passed_over: Counter[str] = field(default_factory=Counter)
    features: dict[tuple[str, str], FeatureSkew] = field(default_factory=dict)

    def feature(self, release: str, name: str) -> FeatureSkew:
        return self.features.setdefault((release, name), FeatureSkew())

    @property
    def unexplained(self) -> int:
        return sum(skew.unexplained for skew in self.features.values())

    @property
    def explained(self) -> int:
        return sum(skew.explained for skew in self.features.values())

    @property
    def compared(self) -> int:
        return sum(skew.compared for skew in self.features.values())

    def figures(self, step: StepReport) -> None:
        """Into a run's report: what differs by feature, and the totals."""
        step.add(None, "rows_compared", self.rows)
        for reason, rows in self.passed_over.items():
            step.add(None, "rows_passed_over", rows, reason)
        step.add(None, "values_compared", self.compared)
        for (release, name), skew in self.features.items():
            for why, count in skew.differing.items():
                step.add(f"{release}:{name}", "values_differing", count, why or "unexplained")

    def write_metrics(self, path: Path) -> None:
        """For node_exporter's textfile collector; the file appears whole."""
        registry = CollectorRegistry()
        rows = Gauge("mmfs_skew_rows", "Logged answers by what became of them.", ["outcome"], registry=registry)
        rows.labels("compared").set(self.rows)
        for reason, count in self.passed_over.items():
            rows.labels(reason).set(count)
        values = Gauge("mmfs_skew_values", "Values that differ.", ["release", "feature", "reason"], registry=registry)
        total = Gauge("mmfs_skew_values_compared", "Values compared.", registry=registry)
        total.set(self.compared)
        for (release, name), skew in self.features.items():
            for reason, count in skew.explained_by.items():
                values.labels(release, name, reason).set(count)
            values.labels(release, name, "unexplained").set(skew.unexplained)
        write_to_textfile(str(path), registry)

    def to_json(self) -> dict[str, object]:
        return {
            "rows": self.rows,
            "passed_over": dict(self.passed_over),
            "values_compared": self.compared,
            "unexplained": self.unexplained,
            "features": [
                {
                    "release": release,
                    "feature": name,
                    "compared": skew.compared,
                    "differing": {reason or "unexplained": count for reason, count in skew.differing.items()},
                    "examples": [example.model_dump() for example in skew.examples],
                }
                for (release, name), skew in self.features.items()
            ],
        }

    def render(self) -> Group:
        """Totals, and a table of the features that differ with an example each."""
        told = ", ".join(f"{count} {reason}" for reason, count in self.passed_over.items())
        lines = [
            f"{self.rows} logged ids, {self.compared} values compared; passed over: {told or 'none'}",
            f"{self.explained} values differ for a known reason, {self.unexplained} for none",
        ]
        table = Table("feature", "compared", "differing", "example: online", "offline")
        for (release, name), skew in sorted(self.features.items(), key=lambda item: -item[1].unexplained):
            if skew.differing:
                why = ", ".join(f"{count} {reason or 'unexplained'}" for reason, count in skew.differing.items())
                example = skew.examples[0] if skew.examples else None
                row = (f"{release} {name}", f"{skew.compared}", why)
                table.add_row(*row, example.online if example else "", example.offline if example else "")
        return Group(*map(Text, lines), *([table] if table.row_count else []))
