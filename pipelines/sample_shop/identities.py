"""Which devices, hashes, cards and accounts belong to whom: what the shop is told, and what is true."""

import hashlib
from collections.abc import Iterator

import numpy as np

from .catalogue import DAY, FAR, HOUR
from .people import People
from .period import Period
from .tables import Row, device_id, iso, user_id

_PEOPLE_PER_TERMINAL = 60
_USERS_AT_TERMINAL = 0.05  # share of the users who once logged in on a terminal in the shop


def hashed(kind: str, seed: int, human: int) -> str:
    return hashlib.sha256(f"{kind}:{seed}:{human}".encode()).hexdigest()


def identity_rows(
    people: People, period: Period, seed: int, rng: np.random.Generator
) -> Iterator[tuple[Row | None, Row]]:
    """Links of identifiers to users, each with its truth; None and a truth where the shop is not told.

    Not told are devices on which nobody logs in, visitors' devices among them. Told but untrue are terminals in the
    shop, which belong to no one. A human with two accounts gave both the same telephone number or address.
    """
    yield from _own(people, period, seed)
    yield from _undeclared(people, period)
    users = np.flatnonzero((rng.random(people.accounts) < _USERS_AT_TERMINAL) & _signed_up(people, period))
    terminals = max(1, people.accounts // _PEOPLE_PER_TERMINAL)
    for person in users.tolist():
        number = people.device.max() + 1 + int(rng.integers(terminals))
        since = max(int(people.signup_us[person]) + 2 * HOUR, period.start_us)
        at = since + int(rng.random() * max(0, period.end_us - since - 1))
        yield from _link("device", device_id(number), person, people, at, belongs=False)


def _signed_up(people: People, period: Period) -> np.ndarray:
    signed_up: np.ndarray = people.signup_us[: people.accounts] + 2 * HOUR < period.end_us
    return signed_up


def _own(people: People, period: Period, seed: int) -> Iterator[tuple[Row, Row]]:
    """What really is a user's own, or shared in the family."""
    end_us = period.end_us
    shared_since = {
        int(people.device[person, 1]): int(people.linked_us[person, 1])
        for person in range(people.accounts)
        if 0 <= people.device[person, 1] < len(people)
    }
    for person in range(people.accounts):
        signup, human = int(people.signup_us[person]), int(people.human[person])
        if signup >= end_us:
            continue
        for slot in (0, 1):
            device, linked = int(people.device[person, slot]), int(people.linked_us[person, slot])
            if device < 0 or linked >= end_us:
                continue
            passed_on = slot == 0 and person % 2 == 0 and signup < period.start_us
            until = shared_since.get(device, FAR) if passed_on else FAR
            yield from _link("device", device_id(device), person, people, linked, until if until < end_us else None)
        # A second account shares the telephone number or the address, and keeps the rest apart.
        same_phone = human == person or person % 2 == 0
        yield from _link("phone_hash", hashed("phone", seed, human if same_phone else person), person, people, signup)
        if person % 3 or human != person:
            owner = person if same_phone else human
            yield from _link("email_hash", hashed("email", seed, owner), person, people, signup)
        if person % 4 == 0:
            yield from _link("loyalty_card", f"card{person + 500_000:09d}", person, people, signup + HOUR)
        if person % 6 == 0:
            moved = min(signup + 30 * DAY, end_us - HOUR) if person % 30 == 0 else None
            yield from _link("social", hashed("social", seed, person)[:20], person, people, signup, moved)


def _undeclared(people: People, period: Period) -> Iterator[tuple[None, Row]]:
    for person in range(len(people)):
        for slot in (0, 1):
            device = int(people.device[person, slot])
            known = person < people.accounts and people.linked_us[person, slot] < period.end_us
            if device >= 0 and not known:
                account = user_id(person) if person < people.accounts else None
                yield None, _truth("device", device_id(device), account, people.human[person], True, False)


def _link(
    kind: str,
    identifier: str,
    person: int,
    people: People,
    at_us: int,
    until_us: int | None = None,
    *,
    belongs: bool = True,
) -> Iterator[tuple[Row, Row]]:
    row: Row = {
        "identifier_type": kind,
        "identifier": identifier,
        "user_id": user_id(person),
        "linked_at": iso(at_us),
        "unlinked_at": "" if until_us is None or until_us <= at_us else iso(until_us),
    }
    yield row, _truth(kind, identifier, user_id(person), people.human[person], belongs, True)


def _truth(kind: str, identifier: str, account: str | None, human: int, belongs: bool, declared: bool) -> Row:
    return {
        "identifier_type": kind,
        "identifier": identifier,
        "user_id": account,
        "human": int(human),
        "belongs": belongs,
        "declared": declared,
    }
