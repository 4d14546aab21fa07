"""Sums of opinions against their definition, text by text; no Spark."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pytest

from encoders.heads.prototypes import ASPECTS
from pipelines.features.opinion_entities import entity_function
from pipelines.features.opinion_rows import DAILY, NEVER, SLOTS, SUMS, by_day
from pipelines.tables.definitions import QUOTED_DAYS, QUOTES, SENTIMENT_HALF_LIFE_DAYS

DAY = 86_400_000_000
WINDOWS = (30, 120)
PURPOSES = ("marketing", "personalisation")
TEXTS = pa.schema(
    [("owner", pa.string()), ("id", pa.string()), ("day", pa.int32()), ("at", pa.int64()), ("known", pa.int64()),
     ("purposes", pa.string()), ("sentiment", pa.float64()),
     ("opinions", pa.list_(pa.struct([("aspect", pa.string()), ("polarity", pa.int32()), ("confidence", pa.float64()),
                                      ("quote", pa.string()), ("start", pa.int32()), ("end", pa.int32())])))]
)  # fmt: skip
Row = dict[str, Any]


@dataclass(frozen=True)
class Hold:
    """A device of a user, and at which midnights it counts."""

    owner: str
    since: int
    until: int


HOLDS = {"u1": [Hold("u1", -1000, 9000), Hold("d1", 60, 200)], "u2": [Hold("u2", -1000, 9000)]}


def opinion(draw: random.Random) -> Row:
    start = draw.randrange(50)
    return {"aspect": draw.choice(ASPECTS), "polarity": draw.choice([1, -1]), "quote": "x", "start": start,
            "end": start + draw.randrange(1, 9), "confidence": round(draw.uniform(0.7, 1), 6)}  # fmt: skip


def drawn(seed: int) -> list[Row]:
    """Texts on few days, so that they meet there; some are known late, some may not be used."""
    draw = random.Random(seed)
    rows = []
    for number in range(120):
        day = draw.choice([3, 4, 40, 41, 100, 130, 131])
        at = day * DAY + draw.randrange(DAY)
        known = at + draw.choice([0, 0, 0, 40 * DAY])
        rows.append({"owner": draw.choice(["u1", "d1", "u2"]), "id": f"r{number}", "day": day, "at": at, "known": known,
                     "purposes": draw.choice(["marketing,personalisation", "personalisation", ""]),
                     "sentiment": round(draw.uniform(-1, 1), 6),
                     "opinions": [opinion(draw) for _ in range(draw.randrange(4))]})  # fmt: skip
    return rows


def expected(texts: list[Row], user: str, purpose: str, midnight: int, known_by: int) -> Row:
    counting = [
        text
        for hold in HOLDS[user]
        for text in texts
        if text["owner"] == hold.owner
        and hold.since <= midnight < hold.until
        and text["day"] < midnight
        and text["known"] <= known_by
        and purpose in text["purposes"].split(",")
    ]
    found: Row = {}
    for days in WINDOWS:
        within = [t for t in counting if t["day"] >= midnight - days]
        said = Counter(s for t in within for s in {slot(o) for o in t["opinions"]})
        values = [len(within), sum(t["sentiment"] < 0 for t in within)]
        values += [sum(round(t["sentiment"] * 1e6) for t in within), *(said[name] for name in SLOTS)]
        found[f"w{days}"] = values
    weights = [2.0 ** (-(midnight - t["day"] - 1) / SENTIMENT_HALF_LIFE_DAYS) for t in counting]
    total = sum(w * t["sentiment"] * 1e6 for w, t in zip(weights, counting, strict=True))
    found["decayed"] = pytest.approx([sum(weights), total], rel=1e-6, abs=1.0)
    found["last_negative"] = max((t["at"] for t in counting if t["sentiment"] < 0), default=NEVER)
    found["available"] = max((t["known"] for t in counting), default=NEVER)
    quotable = [t for t in counting if t["day"] >= midnight - QUOTED_DAYS]
    best: dict[tuple[str, str], Row] = {}
    for text in quotable:
        for said_so in text["opinions"]:
            key = (slot(said_so), text["id"])
            if key not in best or said_so["confidence"] > best[key]["confidence"]:
                best[key] = said_so
    surest = sorted((-o["confidence"], name, f"{text}#{o['start']}-{o['end']}") for (name, text), o in best.items())
    places = {name: [place for _, of, place in surest if of == name] for name in SLOTS}
    found["quotes"] = [places[name][:QUOTES] for name in SLOTS]
    return found


def slot(said: Row) -> str:
    return f"{said['aspect']}_{'praised' if said['polarity'] > 0 else 'blamed'}"


def rows_in(texts: list[Row], from_day: int) -> list[Row]:
    """The days' sums of both users, texts given in two parts as two tasks would."""
    days = []
    for part in (texts[::2], texts[1::2]):
        summed = by_day(pa.Table.from_pylist(part, schema=TEXTS))
        assert summed.schema.equals(DAILY)
        days += summed.to_pylist()
    return [
        day | {"entity": user, "from_day": from_day, "held_from": hold.since, "held_until": hold.until}
        for user, holds in HOLDS.items()
        for hold in holds
        for day in days
        if day["owner"] == hold.owner
    ]


FRAME = pa.schema(
    [("entity", pa.string()), ("from_day", pa.int32()), ("held_from", pa.int32()), ("held_until", pa.int32()), *DAILY,
     ("purpose", pa.string()), ("midnight", pa.int64()), ("created", pa.int64()), ("entity_hash", pa.int64())]
)  # fmt: skip


def made(rows: list[Row], to_midnight: int | None) -> list[Row]:
    empty: Row = dict.fromkeys(FRAME.names)
    whole = [empty | row | {"entity_hash": int(row["entity"][1:])} for row in rows]
    whole.sort(key=lambda row: int(row["entity_hash"]))
    batches = pa.Table.from_pylist(whole, schema=FRAME).to_batches(max_chunksize=7)
    out = entity_function(WINDOWS, PURPOSES, to_midnight)(iter(batches))
    return [row for batch in out for row in batch.to_pylist()]


@pytest.mark.parametrize("seed", range(3))
def test_every_moment_at_which_a_value_may_change(seed: int) -> None:
    texts = drawn(seed)
    found = {(row["entity"], row["purpose"], row["midnight"]): row for row in made(rows_in(texts, 50), 300)}
    for user in HOLDS:
        for purpose in PURPOSES:
            before = None
            for midnight in range(51, 301):
                values = expected(texts, user, purpose, midnight, 10**18)
                row = found.get((user, purpose, midnight))
                if row is not None:
                    for name, value in values.items():
                        assert row[name] == value, (user, purpose, midnight, name)
                elif before is not None:
                    # Only what is computed on read, or is not of windows, may go on without a row.
                    unchanged = [name for name in values if name.startswith("w") or name == "last_negative"]
                    assert {n: values[n] for n in unchanged} == {n: before[n] for n in unchanged}, (user, midnight)
                before = values


def test_rows_are_made_as_they_were_known() -> None:
    texts = drawn(7)
    asked = [(user, purpose, midnight, known) for user in HOLDS for purpose in PURPOSES
             for midnight in (5, 42, 135) for known in (midnight * DAY, 300 * DAY)]  # fmt: skip
    wanted = [{"entity": u, "purpose": p, "midnight": m, "created": known} for u, p, m, known in asked]
    found = made([*rows_in(texts, 0), *wanted], None)
    assert len(found) == len(asked)
    for row in found:
        values = expected(texts, row["entity"], row["purpose"], row["midnight"], row["created"])
        for name, value in values.items():
            assert row[name] == value, (row["entity"], row["midnight"], name)


def test_texts_without_opinions_count_as_texts() -> None:
    text = {"owner": "u2", "id": "r1", "day": 1, "at": DAY, "known": DAY, "purposes": "personalisation",
            "sentiment": 0.0, "opinions": []}  # fmt: skip
    (day,) = by_day(pa.Table.from_pylist([text], schema=TEXTS)).to_pylist()
    assert day["sums"] == [1] + [0] * (len(SUMS) - 1)
    assert (day["last_negative"], day["quotes"]) == (NEVER, [])
