"""Events while they are being made: columns of numbers, gathered in any order, then checked and sorted."""

from dataclasses import dataclass, fields

import numpy as np

from .people import People

EVENT_TYPES = (
    "impression", "view", "search", "click", "favorite", "unfavorite", "add_to_cart", "remove_from_cart",
    "purchase", "return", "share", "ad_impression", "ad_click", "coupon_issued", "coupon_redeemed",
    "message_opened", "unsubscribe",
)  # fmt: skip
Columns = dict[str, np.ndarray]  # equally long, by name
KIND = {name: code for code, name in enumerate(EVENT_TYPES)}
# What nobody can do without being logged in.
_NEEDS_ACCOUNT = np.array([
    KIND[name]
    for name in ("favorite", "unfavorite", "add_to_cart", "remove_from_cart", "purchase", "return",
                 "coupon_issued", "coupon_redeemed", "message_opened", "unsubscribe")
])  # fmt: skip


@dataclass
class Events:
    """Equal-length columns of events; -1 (0 in `quantity` and `cents`, NaN in `dwell`) means nothing.

    `at` is in microseconds since 1970 UTC; `position` is the place in a list, from 1; `discount` in cents.
    """

    kind: np.ndarray
    person: np.ndarray
    device: np.ndarray
    at: np.ndarray
    channel: np.ndarray
    session: np.ndarray
    product: np.ndarray
    query: np.ndarray
    quantity: np.ndarray
    cents: np.ndarray
    dwell: np.ndarray
    campaign: np.ndarray
    position: np.ndarray
    discount: np.ndarray

    def __len__(self) -> int:
        return len(self.kind)

    def rows(self, chosen: np.ndarray) -> "Events":
        """The events at the given places, or where the mask is true."""
        return Events(**{field.name: getattr(self, field.name)[chosen] for field in fields(self)})

    def known(self, people: People) -> np.ndarray:
        """Whether the shop knows who acted: logged in on that device, or a card shown in the store."""
        slot = (people.device[self.person, 1] == self.device).astype(int)
        since = np.where(self.device < 0, people.signup_us[self.person], people.linked_us[self.person, slot])
        return (self.person < people.accounts) & (self.at >= since)


_DEFAULTS: dict[str, float] = {"query": -1, "quantity": 0, "cents": 0, "dwell": np.nan, "campaign": -1,
                               "position": -1, "discount": 0, "session": -1, "product": -1, "device": -1,
                               "channel": 0}  # fmt: skip


class EventLog:
    """Collects events of all kinds, a batch of columns at a time."""

    def __init__(self) -> None:
        self._parts: list[Columns] = []

    def add(self, kind: str, base: Columns, chosen: np.ndarray, **columns: np.ndarray) -> None:
        """Add one kind of event for the chosen rows of `base`; `columns`, already chosen, replace base's."""
        where = np.flatnonzero(chosen) if chosen.dtype == bool else chosen
        part = {"kind": np.full(len(where), KIND[kind])}
        for field in fields(Events)[1:]:
            if field.name in columns:
                part[field.name] = columns[field.name]
            elif field.name in base:
                part[field.name] = base[field.name][where]
            else:
                part[field.name] = np.full(len(where), _DEFAULTS[field.name])
        self._parts.append(part)

    def finish(self, people: People, end_us: int) -> Events:
        """The events that can have happened, in order of time."""
        joined = {name: np.concatenate([part[name] for part in self._parts]) for name in self._parts[0]}
        typed = {name: column if name == "dwell" else column.astype(np.int64) for name, column in joined.items()}
        events = Events(**typed)
        known = events.known(people)
        possible = (events.at < end_us) & (known | ((events.device >= 0) & ~np.isin(events.kind, _NEEDS_ACCOUNT)))
        events = events.rows(possible)
        return events.rows(np.lexsort((events.kind, events.person, events.at)))
