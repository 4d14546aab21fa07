"""What users did, ready to be looked at from any moment. Arrow to numpy, in a worker."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.tables.definitions import INTEREST_WEIGHTS, PERSONAL
from pipelines.tags.preferences import DAY, Acts, Bools, Ints, Items

EVENT_TYPES = tuple(INTEREST_WEIGHTS)
_WEIGHT = np.array(list(INTEREST_WEIGHTS.values()))
_PURCHASE, _SEARCH = EVENT_TYPES.index("purchase"), EVENT_TYPES.index("search")
# Pairs of a moment and an act that are held at a time: some 50 bytes each, and as much again while they are grouped.
_PAIRS_AT_ONCE = 2_000_000


class ActBook:
    """The acts of some users, sorted by user.

    Columns: user_id, item (a product's id, or a search text), version (of the item, any integer), event_type, at and
    available (microseconds since 1970), held_from and held_until (days since 1970), allowed_purposes, and what the
    item is about: keys and shares, of equal length. `keys` are all keys there are, sorted.
    """

    def __init__(self, acts: pa.Table, keys: tuple[str, ...]) -> None:
        acts = acts.sort_by([("user_id", "ascending"), ("at", "ascending"), ("item", "ascending")])
        self._users = acts["user_id"].combine_chunks().dictionary_encode()
        codes = self._users.indices.to_numpy(zero_copy_only=False).astype(np.int64)
        self._edges = np.searchsorted(codes, np.arange(len(self._users.dictionary) + 1))
        self._at = acts["at"].to_numpy()
        self._available = acts["available"].to_numpy()
        self._held_from, self._held_until = acts["held_from"].to_numpy(), acts["held_until"].to_numpy()
        self.event_type = np.asarray(pc.index_in(acts["event_type"], pa.array(EVENT_TYPES)))
        self._allowed = {purpose: _contains(acts["allowed_purposes"], purpose) for purpose in PERSONAL}
        self._item, self.names, self.items = _items(acts, keys)

    def pairs(self, moments: pa.Table) -> Iterator[tuple[pa.Table, Acts, Ints]]:
        """Some of the moments (user_id, purpose, at, known_at) at a time, the acts that count at them, and which
        they are. An act counts that was over at the moment, known by `known_at`, of a subject linked then, and allowed
        for the purpose."""
        user = pc.index_in(moments["user_id"], self._users.dictionary)
        user = np.asarray(user.fill_null(-1)).astype(np.int64)
        counts = np.where(user >= 0, self._edges[user + 1] - self._edges[user], 0)
        total = np.cumsum(counts)
        bounds = np.searchsorted(total, np.arange(_PAIRS_AT_ONCE, total[-1] if len(total) else 0, _PAIRS_AT_ONCE))
        edges = np.unique(np.concatenate([[0], bounds + 1, [len(counts)]]))
        for start, end in pairwise(edges.tolist()):
            some = moments.slice(start, end - start)
            yield some, *self._pairs(some, user[start:end], counts[start:end])

    def _pairs(self, moments: pa.Table, user: Ints, counts: Ints) -> tuple[Acts, Ints]:
        moment = np.repeat(np.arange(len(counts)), counts)
        act = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        act += np.repeat(self._edges[np.maximum(user, 0)], counts)
        at, known = moments["at"].to_numpy()[moment], moments["known_at"].to_numpy()[moment]
        day = at // DAY
        counted = (self._at[act] < at) & (self._available[act] <= known)
        counted &= (self._held_from[act] <= day) & (day < self._held_until[act])
        purpose = np.asarray(moments["purpose"])[moment]
        allowed = np.zeros(len(act), dtype=bool)
        for name, of_purpose in self._allowed.items():
            allowed |= (purpose == name) & of_purpose[act]
        keep = np.flatnonzero(counted & allowed)
        moment, act = moment[keep], act[keep]
        kind = self.event_type[act]
        age = at[keep] - self._at[act]
        return Acts(moment, self._item[act], _WEIGHT[kind], age, kind == _PURCHASE, kind == _SEARCH), act


def _contains(lists: pa.ChunkedArray, value: str) -> Bools:
    flat = lists.combine_chunks()
    found = np.zeros(len(flat), dtype=bool)
    parents = np.asarray(pc.list_parent_indices(flat))
    found[parents[np.asarray(pc.equal(flat.flatten(), value))]] = True
    return found


def _items(acts: pa.Table, keys: tuple[str, ...]) -> tuple[Ints, pa.Array, Items]:
    """Per act its item, the names of products and search texts, and what items are about."""
    version = acts["version"].cast(pa.string())
    whole = pc.binary_join_element_wise(acts["item"], version, "\x1f").combine_chunks().dictionary_encode()
    code = whole.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    _, first = np.unique(code, return_index=True)
    about = acts.select(["item", "keys", "shares"]).take(pa.array(first))
    lists = about["keys"].combine_chunks()
    key = pc.index_in(lists.flatten(), pa.array(keys, pa.string()))
    known = np.asarray(key.is_valid())
    parents = np.asarray(pc.list_parent_indices(lists))[known]
    starts = np.searchsorted(parents, np.arange(len(first) + 1))
    shares = about["shares"].combine_chunks().flatten().cast(pa.float64()).to_numpy(zero_copy_only=False)[known]
    product = about["item"].combine_chunks().dictionary_encode()
    of_item = product.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    items = Items(starts, np.asarray(key.drop_null()).astype(np.int64), shares, of_item)
    return code, product.dictionary, items
