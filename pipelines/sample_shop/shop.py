"""Builds the drop: draws who and what there is, lets it happen, spoils a little, writes it all in one go."""

import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import count, pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa

from .behaviour import simulate
from .catalogue import build_catalogue, catalogue_size
from .dirty_events import late_rows, spoil_events
from .dirty_media import spoil_media
from .dirty_rows import leave_traces, spoil_rows
from .events import Events
from .identities import identity_rows
from .media import draw_media
from .paths import MediaPaths
from .people import draw_people
from .plan import Plan
from .readme import write_readmes
from .result import SampleShopSummary
from .tables import CSV_COLUMNS, Row, product_rows, user_rows
from .talk import message_rows, review_rows, spoken
from .texts import queries
from .truth import TruthWriter, product_truths, taste_truths, user_truths
from .world import World, make_world
from .write import EVENT_SCHEMA, append_csv, append_json_lines, event_table, write_parquet

PEOPLE_PER_PART = 2000
_TALK_PER_PART = 1_000_000  # numbers of reviews and messages that a part may use
Progress = Callable[[str], None]


def build(plan: Plan, on_progress: Progress) -> SampleShopSummary:
    """Write drop and truth to a folder beside `plan.out`, then move both in place; see `write_sample_shop`."""
    plan.check()
    for folder in (plan.out, plan.truth):
        folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{plan.out.name}-", dir=plan.out.parent) as name:
        work, truth_folder = Path(name) / "drop", Path(name) / "truth"
        work.mkdir()
        with TruthWriter(truth_folder) as truth:
            summary = _Builder(plan, work, truth, on_progress).run()
        for made, folder in ((work, plan.out), (truth_folder, plan.truth)):
            if folder.exists():
                folder.rmdir()
            shutil.move(made, folder)
    return summary


class _Builder:
    """One drop in the making. Each step has its own stream of chance, so that one can change alone."""

    def __init__(self, plan: Plan, work: Path, truth: TruthWriter, say: Progress) -> None:
        self._plan, self._work, self._truth, self._say = plan, work, truth, say
        self._rows: Counter[str] = Counter()

    def _chance(self, *stream: int) -> np.random.Generator:
        return np.random.default_rng([self._plan.seed, *stream])

    def run(self) -> SampleShopSummary:
        plan, period = self._plan, self._plan.period
        catalogue = build_catalogue(catalogue_size(plan.users), period.start_us, plan.days, self._chance(0))
        world = make_world(draw_people(plan.users, period, plan.mix, self._chance(1)), catalogue, period)
        self._say(f"drawing {len(catalogue)} products")
        media = draw_media(catalogue, self._work / "media", plan.seed)
        self._truth.add_dirt(spoil_media(catalogue, media, self._work / "media", self._chance(5)))
        self._write_standing(world, media)
        self._happen(world, media)
        self._truth.describe(
            seed=plan.seed, users=plan.users, days=plan.days, mix=plan.mix, end=f"{plan.end_at:%Y-%m-%dT%H:%M:%SZ}"
        )
        write_readmes(plan, self._work, self._work.parent / "truth")
        files = {name: len(list((self._work / "media" / name).iterdir())) for name in ("images", "videos")}
        dirt = dict(sorted(self._truth.dirt.items()))
        return SampleShopSummary(plan.out, plan.truth, dict(self._rows), files, dirt, plan.end_at)

    def _write_standing(self, world: World, media: MediaPaths) -> None:
        """Products, users and links, with their truth."""
        people, period = world.people, world.period
        self._write("products", list(product_rows(world.catalogue, media)))
        self._write("users", list(user_rows(people, period.end_us)))
        links = list(identity_rows(people, period, self._plan.seed, self._chance(8)))
        self._write("identities", [row for row, _ in links if row is not None])
        self._truth.add("identities", [truth for _, truth in links])
        self._truth.add("products", list(product_truths(world.catalogue)))
        self._truth.add("users", list(user_truths(people, period)))

    def _write(self, table: str, rows: Sequence[Row], part: int = 0) -> None:
        """Append rows to a table's file, with dirt."""
        if part == 0:
            self._say(f"writing {table}")
        file = f"{table}.csv" if table in CSV_COLUMNS else f"{table}.jsonl"
        made = spoil_rows(table, file, rows, self._rows[table], self._chance(7, part, sum(table.encode())))
        self._truth.add_dirt(made.spoilt)
        self._rows[table] += len(made.lines)
        if table in CSV_COLUMNS:
            append_csv(self._work / file, CSV_COLUMNS[table], made.lines)
        else:
            append_json_lines(self._work / file, made.lines)

    def _happen(self, world: World, media: MediaPaths) -> None:
        """Let a part of the people act at a time, and write what they do and say."""
        texts = queries(world.catalogue)
        pictures = {product: paths[0][0] for (product, version), paths in media.items() if version == 0}
        parts = max(2, -(-len(world.people) // PEOPLE_PER_PART))
        bounds = np.linspace(0, len(world.people), parts + 1).astype(int).tolist()
        late = [EVENT_SCHEMA.empty_table()]
        for part, (first, last) in zip(count(), pairwise(bounds)):
            self._say(f"events, part {part + 1} of {parts}")
            rng, who = self._chance(2, part), slice(first, last)
            events = simulate(world, who, rng)
            table = event_table(events, world.people, world.catalogue, texts, part)
            late.append(self._write_events(table, part))
            self._write_talk(events, world, pictures, part, rng)
            self._truth.add("tastes", list(taste_truths(world.people, world.period, who)))
        name = f"events/part-{parts:05d}.parquet"
        rows = pa.concat_tables(late)
        self._truth.add_dirt(late_rows(rows, name, 0))
        write_parquet(self._work / name, rows)

    def _write_events(self, table: pa.Table, part: int) -> pa.Table:
        """Write a part's events. Returns those that are to arrive late."""
        name, late = f"events/part-{part:05d}.parquet", EVENT_SCHEMA.empty_table()
        if table.num_rows:
            made = spoil_events(table, part, name, self._chance(3, part))
            self._truth.add_dirt(made.spoilt)
            table, late = made.table, made.late
        self._rows["events"] += table.num_rows + late.num_rows
        write_parquet(self._work / name, table)
        return late

    def _write_talk(
        self, events: Events, world: World, pictures: dict[int, str], part: int, rng: np.random.Generator
    ) -> None:
        """Write what a part of the people says about what it did."""
        people, catalogue, end_us = world.people, world.catalogue, world.period.end_us
        occasions = spoken(events, people, rng)
        first = part * _TALK_PER_PART
        reviews = list(review_rows(occasions, people, catalogue, pictures, end_us, rng, first))
        messages = list(message_rows(occasions, people, catalogue, end_us, rng, first))
        self._truth.add_dirt(leave_traces("reviews.jsonl", [row for row, _ in reviews], self._chance(6, part)))
        for name, said in (("reviews", reviews), ("messages", messages)):
            self._write(name, [row for row, _ in said], part)
            self._truth.add(name, [truth for _, truth in said])
