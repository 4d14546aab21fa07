"""What is true of the shop, written beside the drop and never into it: only evaluations may read it."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from .catalogue import DAY, FAR, Catalogue
from .goods import ASPECTS, BRANDS, CATEGORIES, COLOURS, STYLES
from .people import Change, LifeCycle, People, Taste
from .period import Period
from .personas import PERSONAS
from .spoilt import Spoilt
from .tables import Row, user_id

AXES = {
    "category": tuple(category.en for category in CATEGORIES),
    "brand": tuple(brand.en for brand in BRANDS),
    "colour": tuple(colour.en for colour in COLOURS),
    "style": tuple(style.en for style in STYLES),
}
_INSTANT = pa.timestamp("us", tz="UTC")
_TEXT, _TEXTS, _REAL = pa.string(), pa.list_(pa.string()), pa.float64()
SCHEMAS = {
    "users": pa.schema([
        ("user_id", _TEXT), ("human", pa.int64()), ("persona", _TEXT), ("persona_shares", pa.list_(_REAL)),
        ("life_cycle", _TEXT), ("life_cycle_at", _INSTANT), ("change", _TEXT), ("change_starts_at", _INSTANT),
        ("change_ends_at", _INSTANT), ("language", _TEXT), ("favourite_hour", _REAL), ("weekend_factor", _REAL),
        ("sessions_per_day", _REAL), ("price_sensitivity", _REAL), ("price_level", _REAL),
        ("coupon_response", _REAL), ("ad_response", _REAL), ("harshness", _REAL),
    ]),
    "tastes": pa.schema([
        ("user_id", _TEXT), ("valid_from", _INSTANT), ("axis", _TEXT), ("favourite", _TEXT),
        ("shares", pa.list_(pa.float32())),
    ]),
    "products": pa.schema([
        ("product_id", _TEXT), ("valid_from", _INSTANT), ("category", _TEXT), ("brand", _TEXT), ("colour", _TEXT),
        ("style", _TEXT), ("thing", _TEXT), ("same_words_as_another", pa.bool_()), ("popularity", _REAL),
        *((f"true_{aspect}", _REAL) for aspect in ASPECTS),
    ]),
    "identities": pa.schema([
        ("identifier_type", _TEXT), ("identifier", _TEXT), ("user_id", _TEXT), ("human", pa.int64()),
        ("belongs", pa.bool_()), ("declared", pa.bool_()),
    ]),
    "reviews": pa.schema([
        ("review_id", _TEXT), ("product_id", _TEXT), ("sentiment", _TEXT), ("leaning", _REAL), ("praised", _TEXTS),
        ("blamed", _TEXTS),
    ]),
    "messages": pa.schema([
        ("message_id", _TEXT), ("product_id", _TEXT), ("sentiment", _TEXT), ("contact_in_text", pa.bool_()),
    ]),
    "dirt": pa.schema([
        ("table", _TEXT), ("kind", _TEXT), ("fate", _TEXT), ("file", _TEXT), ("row", pa.int64()), ("key", _TEXT),
        ("witness", _TEXT),
    ]),
}  # fmt: skip


class TruthWriter:
    """Writes the truth's tables as Parquet files, some rows at a time. A context manager."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self._folder = folder
        self._files: dict[str, pq.ParquetWriter] = {}
        self.dirt: Counter[str] = Counter()

    def __enter__(self) -> "TruthWriter":
        for name, schema in SCHEMAS.items():
            path = self._folder / f"{name}.parquet"
            self._files[name] = pq.ParquetWriter(path, schema, compression="zstd")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for file in self._files.values():
            file.close()

    def add(self, table: str, rows: Sequence[Row]) -> None:
        if rows:
            self._files[table].write_table(pa.Table.from_pylist(list(rows), schema=SCHEMAS[table]))

    def add_dirt(self, spoilt: Sequence[Spoilt]) -> None:
        """Record what was spoilt, and count it by kind."""
        self.dirt.update(one.name for one in spoilt)
        self.add("dirt", [vars(one) for one in spoilt])

    def describe(self, **facts: object) -> None:
        """What the shop was drawn with, the names along each axis of taste, and how often each dirt was planted."""
        description = facts | {
            "axes": AXES,
            "personas": [persona.name for persona in PERSONAS],
            "dirt": dict(sorted(self.dirt.items())),
        }
        text = json.dumps(description, indent=2, ensure_ascii=False) + "\n"
        (self._folder / "truth.json").write_text(text, encoding="utf-8")


def _instant(period: Period, day: int) -> int | None:
    return period.start_us + day * DAY if 0 <= day < period.days else None


def user_truths(people: People, period: Period) -> Iterator[Row]:
    """What does not change about each user, and when what changes does; null where it does not within the period."""
    for person in range(people.accounts):
        turns = people.life_cycle[person] != LifeCycle.STEADY
        start = int(people.change_day[person])
        yield {
            "user_id": user_id(person),
            "human": int(people.human[person]),
            "persona": PERSONAS[int(people.shares[person].argmax())].name,
            "persona_shares": people.shares[person].tolist(),
            "life_cycle": LifeCycle(people.life_cycle[person]).name.lower(),
            "life_cycle_at": _instant(period, int(people.turn_day[person])) if turns else None,
            "change": Change(people.change[person]).name.lower(),
            "change_starts_at": _instant(period, start),
            "change_ends_at": _instant(period, start + int(people.change_days[person])),
            "language": "en" if people.english[person] else "zh",
            "favourite_hour": float(people.hour[person]),
            "weekend_factor": float(people.weekend[person]),
            "sessions_per_day": float(people.activity[person]),
            "price_sensitivity": float(people.price_sensitivity[person]),
            "price_level": float(people.price_level[person]),
            "coupon_response": float(people.coupon_response[person]),
            "ad_response": float(people.ad_response[person]),
            "harshness": float(people.harshness[person]),
        }


def taste_truths(people: People, period: Period, who: slice) -> Iterator[Row]:
    """Each user's taste along each axis, from each day on which it is another: attention as shares that sum to 1."""
    persons = np.arange(who.start, min(who.stop, people.accounts))
    days = np.arange(period.days)
    stages = people.stage(np.repeat(persons, period.days), np.tile(days, len(persons))).reshape(-1, period.days)
    new = np.diff(stages, axis=1, prepend=-1) != 0
    row, day = np.nonzero(new)
    taste = _shares(people.taste_at(persons[row], stages[row, day]))
    for axis, shares in zip(AXES, taste.axes, strict=True):
        best = shares.argmax(axis=1)
        for place, (local, since) in enumerate(zip(row.tolist(), day.tolist(), strict=True)):
            yield {
                "user_id": user_id(int(persons[local])),
                "valid_from": period.start_us + since * DAY,
                "axis": axis,
                "favourite": AXES[axis][best[place]],
                "shares": shares[place],
            }


def _shares(taste: Taste) -> Taste:
    def softmax(axis: np.ndarray) -> np.ndarray:
        weight = np.exp(axis - axis.max(axis=1, keepdims=True))
        shares: np.ndarray = (weight / weight.sum(axis=1, keepdims=True)).astype(np.float32)
        return shares

    return Taste(*(softmax(axis) for axis in taste.axes))


def product_truths(catalogue: Catalogue) -> Iterator[Row]:
    """What every version of every product is, whatever its words say."""
    for product in catalogue.products:
        versions = [(product.launched_us, product.colour)]
        if product.changed_us != FAR:
            versions.append((product.changed_us, product.later_colour))
        for since, colour in versions:
            yield {
                "product_id": product.product_id,
                "valid_from": since,
                "category": CATEGORIES[product.category].en,
                "brand": BRANDS[product.brand].en,
                "colour": COLOURS[colour].en,
                "style": STYLES[product.style].en,
                "thing": product.thing.en,
                "same_words_as_another": product.twin,
                "popularity": float(catalogue.popularity[product.index]),
            } | {f"true_{name}": float(catalogue.aspects[product.index, i]) for i, name in enumerate(ASPECTS)}
