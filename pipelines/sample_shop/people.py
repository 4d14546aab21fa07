"""Who shops: the latent state that all behaviour is drawn from. Nothing of it is written to the drop."""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from .catalogue import DAY, HOUR, Catalogue
from .goods import BABY, BRANDS, CATEGORIES, COLOURS, STYLES, TOYS

CONSENTS = ("personalisation", "marketing", "research")
CHANNELS = ("app", "web", "mini_program", "store")
REGIONS = (
    "Shanghai",
    "Beijing",
    "Guangdong",
    "Zhejiang",
    "Sichuan",
    "Hubei",
    "Shaanxi",
    "Hong Kong",
    "Singapore",
)
NEVER = 10**6  # a day that does not come


class LifeCycle(IntEnum):
    STEADY = 0
    NEW = 1
    GROWING = 2
    DORMANT = 3
    CHURNED = 4
    NEW_PARENT = 5


@dataclass(frozen=True)
class Taste:
    """Log-preferences; the first axis is the person."""

    category: np.ndarray  # (N, C)
    brand: np.ndarray  # (N, B)
    colour: np.ndarray  # (N, K)
    style: np.ndarray  # (N, S)


@dataclass(frozen=True)
class People:
    """Everyone who comes to the shop: N people, of whom the first `accounts` have an account.

    Days count from the start of the period; instants are microseconds since 1970 UTC.
    """

    accounts: int
    taste: Taste
    later_taste: Taste  # from `change_day` on
    change_day: np.ndarray
    life_cycle: np.ndarray
    turn_day: np.ndarray  # when the life cycle shows: start of dormancy, churn, growth, parenthood
    activity: np.ndarray  # sessions a day
    hour: np.ndarray  # favourite hour, UTC
    weekend: np.ndarray  # factor on the days of the weekend
    price_sensitivity: np.ndarray
    price_level: np.ndarray  # log CNY they like to spend
    harshness: np.ndarray
    english: np.ndarray  # bool
    channel: np.ndarray  # (N, 4) probabilities
    signup_us: np.ndarray
    device: np.ndarray  # (N, 2) device number, -1: none
    linked_us: np.ndarray  # (N, 2) when the device was linked to the account
    birth_year: np.ndarray
    gender: np.ndarray
    region: np.ndarray
    consents: np.ndarray  # bit set over CONSENTS, -1: not asked
    later_consents: np.ndarray
    consent_us: np.ndarray  # when the later consents came; 0: never

    def __len__(self) -> int:
        return len(self.activity)


def draw_people(accounts: int, start_us: int, days: int, rng: np.random.Generator) -> People:
    """Draw `accounts` users and about a twelfth as many visitors without an account."""
    n = accounts + max(2, accounts // 12)
    taste = Taste(
        _peaked(rng, n, len(CATEGORIES), 2.2),
        _peaked(rng, n, len(BRANDS), 1.0),
        _peaked(rng, n, len(COLOURS), 1.5),
        _peaked(rng, n, len(STYLES), 1.2),
    )
    life = rng.choice(6, n, p=[0.42, 0.16, 0.12, 0.12, 0.1, 0.08])
    turn = rng.integers(max(1, days // 5), max(2, 4 * days // 5) + 1, n)
    signup = start_us - (rng.random(n) * 500 * DAY).astype(np.int64) - DAY
    signup = np.where(life == LifeCycle.NEW, start_us + turn * DAY // 2 + rng.integers(0, DAY, n), signup)
    later, change_day = _changes(taste, life, turn, days, rng)
    device, linked = _devices(accounts, signup, start_us, days, rng)
    asked = rng.choice([7, 3, 1, 5, 0, -1], n, p=[0.46, 0.2, 0.15, 0.08, 0.07, 0.04])
    consent_us = np.where(rng.random(n) < 0.08, start_us + rng.integers(0, days * DAY, n), 0)
    return People(
        accounts=accounts,
        taste=taste,
        later_taste=later,
        change_day=change_day,
        life_cycle=life,
        turn_day=turn,
        activity=rng.gamma(1.6, 0.15, n) + 0.03,
        hour=(rng.choice([8, 12, 20, 22], n, p=[0.15, 0.25, 0.4, 0.2]) + rng.normal(0, 1, n) - 8) % 24,
        weekend=rng.lognormal(0.2, 0.5, n),
        price_sensitivity=rng.gamma(2.0, 0.35, n),
        price_level=rng.normal(5.2, 0.9, n),
        harshness=rng.normal(0, 0.35, n),
        english=rng.random(n) < 0.25,
        channel=rng.dirichlet([4.0, 2.0, 2.0, 0.5], n),
        signup_us=signup,
        device=device,
        linked_us=linked,
        birth_year=np.clip(rng.normal(1991, 10, n), 1945, 2008).astype(int),
        gender=rng.choice(4, n, p=[0.5, 0.4, 0.03, 0.07]),
        region=rng.integers(0, len(REGIONS), n),
        consents=asked,
        later_consents=np.where(asked <= 0, 3, asked & rng.integers(0, 7, n)),
        consent_us=np.where(consent_us > signup, consent_us, 0),
    )


def _peaked(rng: np.random.Generator, n: int, width: int, spread: float) -> np.ndarray:
    """Log-preferences with a few clear favourites per person."""
    return spread * (rng.exponential(1.0, (n, width)) - 1.0)


def _changes(
    taste: Taste, life: np.ndarray, turn: np.ndarray, days: int, rng: np.random.Generator
) -> tuple[Taste, np.ndarray]:
    """Tastes after a change: new parents turn to baby goods and toys; a fifth of the others move on."""
    n = len(life)
    parent = life == LifeCycle.NEW_PARENT
    moves = ~parent & (rng.random(n) < 0.2)
    category = taste.category.copy()
    category[moves] = np.roll(category[moves], int(rng.integers(1, len(CATEGORIES))), axis=1)
    category[parent, BABY] = category.max(axis=1)[parent] + 2.0
    category[parent, TOYS] = category.max(axis=1)[parent] - 1.0
    colour = np.where((moves & (rng.random(n) < 0.5))[:, None], np.roll(taste.colour, 4, axis=1), taste.colour)
    return Taste(category, taste.brand, colour, taste.style), np.where(parent | moves, turn, NEVER)


def _devices(
    accounts: int, signup: np.ndarray, start_us: int, days: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Devices and link times: everyone has one, a third a second one, which may be somebody else's first."""
    n = len(signup)
    device = np.stack([np.arange(n), np.full(n, -1)], axis=1)
    linked = np.stack([signup + rng.integers(0, HOUR, n), np.full(n, 2**62)], axis=1)
    second = (np.arange(n) < accounts) & (rng.random(n) < 0.35)
    shared = second & (rng.random(n) < 0.2) & (np.arange(n) > 0)
    device[second, 1] = n + np.flatnonzero(second)
    device[shared, 1] = np.flatnonzero(shared) - 1
    login = np.maximum(signup + HOUR, start_us + (rng.random(n) * 0.7 * days * DAY).astype(np.int64))
    linked[second, 1] = login[second]
    return device, linked


def sessions_per_day(people: People, days: int, first_weekday: int) -> np.ndarray:
    """Expected sessions, (N, days): life cycle × weekday habit × own activity. Monday is weekday 0."""
    day = np.arange(days)[None, :]
    turn, life = people.turn_day[:, None], people.life_cycle[:, None]
    late = day >= turn
    factor = np.ones((len(people), days))
    factor = np.where((life == LifeCycle.NEW) & (day < turn // 2 - 2), 0.0, factor)
    factor = np.where(life == LifeCycle.GROWING, 0.3 + 1.7 / (1 + np.exp(-(day - turn) / 4)), factor)
    factor = np.where((life == LifeCycle.DORMANT) & late, 0.06, factor)
    factor = np.where((life == LifeCycle.CHURNED) & late, 0.0, factor)
    factor = np.where((life == LifeCycle.NEW_PARENT) & late, 1.4, factor)
    weekend = np.isin((day + first_weekday) % 7, (5, 6))
    return people.activity[:, None] * factor * np.where(weekend, people.weekend[:, None], 1.0)


def liking(people: People, catalogue: Catalogue, who: slice) -> np.ndarray:
    """Log-utilities of products, float32 (2, n, P): before and after people's change of taste."""
    cents = np.log(catalogue.column("cents") / 100)
    over = np.abs(cents[None, :] - people.price_level[who, None])
    price = people.price_sensitivity[who, None] * np.minimum(over, 3.0)
    columns = [catalogue.column(name) for name in ("category", "brand", "colour", "style")]
    both = []
    for taste in (people.taste, people.later_taste):
        axes = (taste.category, taste.brand, taste.colour, taste.style)
        total = sum(axis[who][:, column] for axis, column in zip(axes, columns, strict=True))
        both.append(total - price)
    return np.stack(both).astype(np.float32)
