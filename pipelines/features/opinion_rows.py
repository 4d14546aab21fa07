"""Sums of what texts say, over windows of days: first by owner and day, then at the moments that rows are of.

Arrow and numpy, no Spark. Sums are whole numbers, so neither order nor company changes one. An owner is whoever wrote
the texts, or the product they are about.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from encoders.heads.prototypes import ASPECTS
from pipelines.features.kernel import Bools, Ints, run_starts
from pipelines.tables.definitions import QUOTED_DAYS, QUOTES, SENTIMENT_HALF_LIFE_DAYS

SIDES = {"praised": 1, "blamed": -1}
SLOTS = tuple(f"{aspect}_{side}" for aspect in ASPECTS for side in SIDES)
"""What a text may say of goods, in the order of the counts of texts that say so."""
SUMS = ("texts", "negative", "sentiment", *SLOTS)
"""`sentiment` in whole millionths."""
MILLION = 1_000_000
NEVER = np.iinfo(np.int64).min
_QUOTE = pa.struct([("slot", pa.int32()), ("confidence", pa.float64()), ("place", pa.string())])
DAILY = pa.schema(
    [
        ("owner", pa.string()),
        ("day", pa.int32()),
        ("known", pa.int64()),
        ("purposes", pa.string()),
        ("sums", pa.list_(pa.int64())),
        ("last_negative", pa.int64()),
        ("quotes", pa.list_(_QUOTE)),
    ]
)
DAILY_DDL = (
    "owner string, day int, known bigint, purposes string, sums array<bigint>, last_negative bigint, "
    "quotes array<struct<slot:int,confidence:double,place:string>>"
)


def by_day(texts: pa.Table) -> pa.Table:
    """`DAILY`: texts summed by owner, day, the microsecond by which they were known, and allowed purposes.

    `texts` has owner, id, day (int), at and known (microseconds), purposes (joined by commas), sentiment, opinions.
    Of the opinions of a kind the surest of a day are kept to be quoted, `QUOTES` of them.
    """
    keys = [_codes(texts[name])[0] for name in ("owner", "purposes")]
    identity = np.stack([keys[0], keys[1], _ints(texts["day"]), _ints(texts["known"])])
    _, first, group = np.unique(identity, axis=1, return_index=True, return_inverse=True)
    group = group.reshape(-1)
    said = _Said.of(texts)
    sentiment = texts["sentiment"].to_numpy()
    sums = np.zeros((len(first), len(SUMS)), dtype=np.int64)
    negative = sentiment < 0
    for column, values in enumerate((np.ones(len(group)), negative, np.round(sentiment * MILLION))):
        np.add.at(sums[:, column], group, values.astype(np.int64))
    # A text that says a thing twice says it once.
    pairs = np.unique(np.stack([said.text, said.slot]), axis=1)
    np.add.at(sums, (group[pairs[0]], 3 + pairs[1]), 1)
    last = np.full(len(first), NEVER)
    np.maximum.at(last, group[negative], _ints(texts["at"])[negative])
    chosen = texts.select(["owner", "day", "known", "purposes"]).take(first)
    columns = [*chosen.columns, lists(sums), pa.array(last), said.quoted(group, len(first))]
    return pa.Table.from_arrays(columns, names=DAILY.names).cast(DAILY)


@dataclass(frozen=True)
class _Said:
    """The opinions of texts: of which text, of which kind, how sure, and where they can be read."""

    text: Ints
    slot: Ints
    confidence: np.ndarray
    place: pa.Array

    @classmethod
    def of(cls, texts: pa.Table) -> _Said:
        opinions = texts["opinions"].combine_chunks()
        parents = pc.list_parent_indices(opinions)
        flat = opinions.flatten()
        aspect = pc.index_in(flat.field("aspect"), pa.array(ASPECTS)).to_numpy(zero_copy_only=False)
        is_blame = flat.field("polarity").to_numpy(zero_copy_only=False) < 0
        bounds = (flat.field(name).cast(pa.string()) for name in ("start", "end"))
        where = pc.binary_join_element_wise(*bounds, "-")
        place = pc.binary_join_element_wise(texts["id"].combine_chunks().take(parents), where, "#")
        return cls(
            parents.to_numpy().astype(np.int64),
            aspect.astype(np.int64) * len(SIDES) + is_blame,
            flat.field("confidence").to_numpy(zero_copy_only=False),
            place,
        )

    def quoted(self, group: Ints, groups: int) -> pa.ListArray:
        """By group the surest opinions of each kind, one a text."""
        order = np.lexsort([_ranks(self.place), -self.confidence, self.text, self.slot])
        best = order[run_starts(self.slot[order], self.text[order])]
        of = group[self.text[best]]
        order = best[np.lexsort([_ranks(self.place.take(best)), -self.confidence[best], self.slot[best], of])]
        kept = order[_rank_in_run(group[self.text[order]], self.slot[order]) < QUOTES]
        ends = np.cumsum(np.bincount(group[self.text[kept]], minlength=groups))
        values = [pa.array(self.slot[kept], pa.int32()), pa.array(self.confidence[kept]), self.place.take(kept)]
        flat = pa.StructArray.from_arrays(values, fields=list(_QUOTE))
        return pa.ListArray.from_arrays(pa.array(np.append(0, ends), pa.int32()), flat)


@dataclass(frozen=True)
class Asked:
    """The rows wanted of an entity: midnights (days since 1970-01-01), and by when their inputs were known."""

    midnight: Ints
    known_by: Ints


@dataclass(frozen=True)
class Counted:
    """n days' sums of one entity, as of `by_day`, each counting at midnights in [held_from, held_until)."""

    day: Ints
    held_from: Ints
    held_until: Ints
    known: Ints
    allowed: Bools
    sums: Ints
    last_negative: Ints
    quotes: pa.ListArray

    def midnights(self, first: int, last: int, windows: Sequence[int]) -> Ints:
        """Those in [first, last] at which a value may change. Too many do no harm: equal values are not written."""
        ends = [self.day + 1 + days for days in (0, *windows)]
        held = [end[(end >= self.held_from) & (end < self.held_until)] for end in ends]
        found = np.unique(np.concatenate([*held, self.held_from, self.held_until]))
        return found[(found >= first) & (found <= last)]

    def at(self, asked: Asked, windows: Sequence[int]) -> dict[str, pa.Array]:
        """Of each asked row: w<days> (sums), decayed (texts and sentiment), available and last_negative
        (microseconds or NEVER), quotes (places by slot)."""
        at, day = asked.midnight[:, None], self.day[None]
        counts = (self.held_from <= at) & (at < self.held_until) & (day < at) & self.allowed
        counts &= self.known <= asked.known_by[:, None]
        # Exact: far below 2^53.
        sums = self.sums.astype(np.float64)
        found = {f"w{w}": lists(((counts & (day >= at - w)) @ sums).astype(np.int64)) for w in windows}
        weights = np.where(counts, np.exp2((day - at + 1) / SENTIMENT_HALF_LIFE_DAYS), 0.0)
        found["decayed"] = lists(weights @ sums[:, [0, 2]])
        for name, values in (("available", self.known), ("last_negative", self.last_negative)):
            found[name] = pa.array(np.where(counts, values, NEVER).max(axis=1, initial=NEVER))
        return found | {"quotes": self._quoted(counts & (day >= at - QUOTED_DAYS))}

    def _quoted(self, counts: Bools) -> pa.Array:
        """The surest places of each slot, of equal ones the newest first."""
        flat = self.quotes.flatten()
        row = pc.list_parent_indices(self.quotes).to_numpy()
        slot = flat.field("slot").to_numpy(zero_copy_only=False)
        confidence = flat.field("confidence").to_numpy(zero_copy_only=False)
        order = np.lexsort([_ranks(flat.field("place")), -self.day[row], -confidence, slot])
        row, slot, place = row[order], slot[order], np.array(flat.field("place").to_pylist(), dtype=object)[order]
        found = []
        for counted in counts:
            here = counted[row]
            slots, places = slot[here], place[here]
            first = _rank_in_run(slots) < QUOTES
            slots, places = slots[first], places[first]
            found.append([places[slots == number].tolist() for number in range(len(SLOTS))])
        return pa.array(found, pa.list_(pa.list_(pa.string())))


def lists(matrix: np.ndarray) -> pa.ListArray:
    """Rows of a matrix as lists."""
    flat = np.ascontiguousarray(matrix)
    return pa.ListArray.from_arrays(
        pa.array(np.arange(len(flat) + 1, dtype=np.int32) * flat.shape[1]), pa.array(flat.reshape(-1))
    )


def _ints(column: pa.ChunkedArray) -> Ints:
    return column.to_numpy().astype(np.int64)


def _codes(column: pa.ChunkedArray | pa.Array) -> tuple[Ints, pa.Array]:
    whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    encoded = whole.dictionary_encode()
    return encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64), encoded.dictionary


def _ranks(texts: pa.Array) -> Ints:
    """The place of each among the sorted texts."""
    return pc.rank(texts, sort_keys="ascending", tiebreaker="dense").to_numpy().astype(np.int64)


def _rank_in_run(*keys: Ints) -> Ints:
    """The number of each row within its run, from 0."""
    starts = np.flatnonzero(run_starts(*keys))
    lengths = np.diff(np.append(starts, len(keys[0])))
    return np.arange(len(keys[0])) - np.repeat(starts, lengths)
