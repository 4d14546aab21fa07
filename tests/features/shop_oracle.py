"""A random shop whose system is told things late, and what the definitions of the features give for it."""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from pipelines.tables.definitions import PERSONAL

START = datetime(2024, 1, 1, tzinfo=UTC)
WINDOWS = (1, 7, 30, 90)
TYPES = ("view", "click", "purchase", "return", "search", "impression")
COUNTED = (("view", "views"), ("click", "clicks"), ("purchase", "purchases"), ("return", "returns"),
           ("search", "searches"), ("impression", "impressions"))  # fmt: skip


def at(days: float) -> datetime:
    return START + timedelta(seconds=round(days * 86_400))


@dataclass(frozen=True)
class Act:
    id: str
    subject: str
    kind: str
    at: datetime
    product: str | None
    session: str | None
    quantity: int | None
    price: float
    rating: int | None
    drop: int

    @property
    def day(self) -> int:
        return (self.at - START).days


@dataclass(frozen=True)
class Link:
    device: str
    user: str
    since: datetime
    until: datetime | None
    drop: int
    unlink_drop: int


@dataclass(frozen=True)
class Word:
    user: str
    purpose: str
    granted: bool
    since: datetime
    drop: int


@dataclass(frozen=True)
class Price:
    product: str
    since: datetime
    price: float
    drop: int


class Shop:
    """What happened, and when the system was told: everything of drop k comes with run k.

    `runs` are days after START. The last one brings nothing but time.
    """

    def __init__(self, seed: int, users: int, runs: tuple[float, ...]) -> None:
        self.random = random.Random(seed)
        self.runs = runs
        self.last_drop = len(runs) - 2
        self.users = [f"u{i}" for i in range(users)]
        self.devices = [f"d{i}" for i in range(users // 2)]
        last = int(runs[-2]) - 2
        # Few distinct days, so that acts meet on them.
        self.days = sorted(self.random.sample(range(last), 24))
        self.acts = [a for s in self.users + self.devices for a in self._acts(s)]
        self.links = [link for d in self.devices for link in self._links(d)]
        self.words = [w for u in self.users for w in self._words(u)]
        self.prices = [
            Price(f"p{i}", at(day), 1.0 + i + day, self._drop(day)) for i in range(4) for day in (0, 33.5, 0.75 * last)
        ]

    def _drop(self, day: float) -> int:
        """The first run after it, or, one time in three, a later one."""
        first = next(k for k, run in enumerate(self.runs[:-1]) if run > day)
        return first if self.random.random() < 0.67 else self.random.randint(first, self.last_drop)

    def _acts(self, subject: str) -> list[Act]:
        r, acts = self.random, []
        for i in range(r.randint(0, 14)):
            day = r.choice(self.days) + r.choice([0.0, r.random(), 0.25, 86_399 / 86_400])
            written = subject.startswith("u") and r.random() < 0.2
            kind = r.choice(["review", "message"]) if written else r.choice(TYPES)
            product = r.choice([None, *(f"p{i}" for i in range(5))])
            session = r.choice([None, f"s{int(day)}", f"t{int(day)}"])
            amount = round(r.random() * 100, 2)
            rating = r.choice([None, 1, 2, 3, 5]) if kind == "review" else None
            acts.append(
                Act(
                    f"{subject}-{i}",
                    subject,
                    kind,
                    at(day),
                    product,
                    session,
                    r.choice([None, 1, 3]),
                    amount,
                    rating,
                    self._drop(day),
                )
            )
        return acts

    def _links(self, device: str) -> list[Link]:
        links, day = [], self.random.random() * (self.runs[-2] - 60)
        for _ in range(self.random.randint(0, 2)):
            day = self.random.choice([day, float(int(day))])
            drop = self._drop(day)
            until = self.random.choice([None, day + 0.1 + self.random.random() * 30])
            unlink_drop = drop if until is None else max(drop, self._drop(until))
            end = None if until is None else at(until)
            links.append(Link(device, self.random.choice(self.users), at(day), end, drop, unlink_drop))
            day += 20
        return links

    def _words(self, user: str) -> list[Word]:
        words = []
        for purpose in PERSONAL:
            for day in sorted({self.random.random() * (self.runs[-2] - 10) for _ in range(self.random.randint(0, 2))}):
                words.append(Word(user, purpose, self.random.random() < 0.6, at(day), self._drop(day)))
        return words


class Oracle:
    """Values as the definitions read, from all that is known with a drop, one user and one midnight at a time."""

    def __init__(self, shop: Shop, drop: int) -> None:
        self.acts = defaultdict(list)
        self.links = [
            (x.device, x.user, x.since, x.until if x.unlink_drop <= drop else None)
            for x in shop.links
            if x.drop <= drop
        ]
        self.words = [w for w in shop.words if w.drop <= drop]
        for act in shop.acts:
            if act.drop <= drop:
                self.acts[act.subject].append((act, self._purposes(act)))

    def _purposes(self, act: Act) -> frozenset[str]:
        if act.subject.startswith("u"):
            speakers = [act.subject]
        else:
            speakers = [
                u for d, u, a, b in self.links if d == act.subject and a <= act.at and (b is None or act.at < b)
            ]
        if not speakers:
            return frozenset({"personalisation"})
        return frozenset(p for p in PERSONAL if all(self._allows(u, p, act.at) for u in speakers))

    def _allows(self, user: str, purpose: str, when: datetime) -> bool:
        said = [w for w in self.words if (w.user, w.purpose) == (user, purpose) and w.since <= when]
        return max(said, key=lambda w: w.since).granted if said else purpose == "personalisation"

    def counting(self, user: str, purpose: str, midnight: datetime) -> list[tuple[Act, frozenset[str]]]:
        subjects = {user} | {
            d for d, u, a, b in self.links if u == user and a <= midnight and (b is None or midnight < b)
        }
        return [(a, p) for s in subjects for a, p in self.acts[s] if a.at < midnight and purpose in p]

    def values(self, user: str, purpose: str, day: int) -> dict[str, Any]:
        counting = self.counting(user, purpose, START + timedelta(days=day))
        out: dict[str, Any] = {}
        for w in WINDOWS:
            within = [(a, p) for a, p in counting if a.day >= day - w]
            events = [(a, p) for a, p in within if a.kind in TYPES]
            bought = [(a, p) for a, p in events if a.kind == "purchase"]
            for kind, name in COUNTED:
                out[f"{name}_{w}d"] = sum(a.kind == kind for a, _ in events)
            out[f"active_days_{w}d"] = len({a.day for a, _ in within})
            out[f"sessions_{w}d"] = len({(a.subject, a.day, p, a.session) for a, p in events if a.session})
            out[f"orders_{w}d"] = len({(a.subject, a.day, p, a.session or a.id) for a, p in bought})
            out[f"spend_{w}d"] = round(sum((1 if a.quantity is None else a.quantity) * a.price for a, _ in bought), 6)
            if w in (30, 90):
                out[f"reviews_{w}d"] = sum(a.kind == "review" for a, _ in within)
                out[f"messages_{w}d"] = sum(a.kind == "message" for a, _ in within)
        rated = [a.rating for a, _ in counting if a.rating is not None and a.day >= day - 90]
        out["rating_mean_90d"] = sum(rated) / len(rated) if rated else None
        acts = [a for a, _ in counting]
        out["first_event_at"] = min((a.at for a in acts), default=None)
        out["last_event_at"] = max((a.at for a in acts), default=None)
        out["last_purchase_at"] = max((a.at for a in acts if a.kind == "purchase"), default=None)
        out["last_review_at"] = max((a.at for a in acts if a.kind == "review"), default=None)
        newest = sorted(
            (a for a in acts if a.product and a.kind in TYPES[:3] + TYPES[4:5]), key=lambda a: (a.at, a.id)
        )[::-1]
        out["last_product_ids"] = [a.product for a in newest[:20]]
        out["last_purchased_product_ids"] = [a.product for a in newest[:100] if a.kind == "purchase"][:20]
        return out

    def product_values(self, known: list[Price], product: str, day: int) -> dict[str, Any]:
        acts = [a for acts in self.acts.values() for a, p in acts if a.product == product and "personalisation" in p]
        acts = [a for a in acts if a.day < day]
        bought = {w: [a for a in acts if a.kind == "purchase" and a.day >= day - w] for w in (7, 30)}
        prices = [p for p in known if p.product == product and p.since <= START + timedelta(days=day)]
        return {
            **{f"views_{w}d": sum(a.kind in ("view", "click") and a.day >= day - w for a in acts) for w in (7, 30)},
            **{f"units_{w}d": sum(1 if a.quantity is None else a.quantity for a in bought[w]) for w in (7, 30)},
            "returns_30d": sum(a.kind == "return" and a.day >= day - 30 for a in acts),
            "reviews_90d": sum(a.kind == "review" and a.day >= day - 90 for a in acts),
            "price": max(prices, key=lambda p: p.since).price if prices else None,
        }
