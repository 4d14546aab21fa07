"""Who shops: the latent state that all behaviour is drawn from. Nothing of it is written to the drop."""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from . import personas
from .catalogue import DAY, FAR, HOUR
from .goods import BABY, TOYS
from .period import Period

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
# How common each life cycle is, in the order of LifeCycle.
_LIFE_CYCLES = (0.3, 0.35, 0.09, 0.1, 0.1, 0.06)
# Sessions a day: of accounts, log-normal; of visitors without one; of anybody.
_USUAL_ACTIVITY, _ACTIVITY_SPREAD = -2.8, 1.3
_VISITORS_ACTIVITY, _MOST_ACTIVE = 0.015, 5.0
DRIFT_STAGES = 5  # a drifting taste moves in this many steps, the first and the last included


class LifeCycle(IntEnum):
    STEADY = 0
    NEW = 1
    GROWING = 2
    DORMANT = 3
    CHURNED = 4
    NEW_PARENT = 5


class Change(IntEnum):
    """How a taste changes: not, from one day to the next, or over some weeks."""

    STAYS = 0
    SWITCHES = 1
    DRIFTS = 2


STAGES = np.array([1, 2, DRIFT_STAGES])  # by Change


@dataclass(frozen=True)
class Taste:
    """Log-preferences; the first axis is the person."""

    category: np.ndarray  # (N, C)
    brand: np.ndarray  # (N, B)
    colour: np.ndarray  # (N, K)
    style: np.ndarray  # (N, S)

    @property
    def axes(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        return self.category, self.brand, self.colour, self.style

    def of(self, rows: np.ndarray) -> "Taste":
        return Taste(*(axis[rows] for axis in self.axes))


@dataclass(frozen=True)
class People:
    """Everyone who comes to the shop: N people, of whom the first `accounts` have an account.

    Days count from the start of the period; instants are microseconds since 1970 UTC.
    """

    accounts: int
    human: np.ndarray  # who it is: the own number, or another's where one human has two accounts
    shares: np.ndarray  # (N, personas) how much of each persona
    taste: Taste
    later_taste: Taste  # where the change leads
    change: np.ndarray  # Change
    change_day: np.ndarray  # its first day
    change_days: np.ndarray  # how long it takes
    life_cycle: np.ndarray
    turn_day: np.ndarray  # when the life cycle shows: start of dormancy, churn, growth, parenthood
    activity: np.ndarray  # sessions a day
    hour: np.ndarray  # favourite hour, UTC
    weekend: np.ndarray  # factor on the days of the weekend
    price_sensitivity: np.ndarray
    price_level: np.ndarray  # log CNY they like to spend
    coupon_response: np.ndarray  # by how much a coupon raises the log-odds of buying
    ad_response: np.ndarray  # shift of the log-odds of clicking an ad
    harshness: np.ndarray
    english: np.ndarray  # bool
    channel: np.ndarray  # (N, 4) probabilities
    signup_us: np.ndarray
    device: np.ndarray  # (N, 2) device number, -1: none
    linked_us: np.ndarray  # (N, 2) when the device was linked to the account; FAR: they never log in on it
    birth_year: np.ndarray
    gender: np.ndarray
    region: np.ndarray
    consents: np.ndarray  # bit set over CONSENTS, -1: not asked
    later_consents: np.ndarray
    consent_us: np.ndarray  # when the later consents came; 0: never

    def __len__(self) -> int:
        return len(self.activity)

    def stage(self, person: np.ndarray, day: np.ndarray) -> np.ndarray:
        """How far the taste of each person has changed on a day: 0 up to STAGES[change] - 1."""
        last = STAGES[self.change[person]] - 1
        done = (day - self.change_day[person]) / np.maximum(self.change_days[person], 1)
        done = np.where(self.change[person] == Change.SWITCHES, day >= self.change_day[person], done)
        stages: np.ndarray = np.rint(np.clip(done, 0, 1) * last).astype(np.int64)
        return stages

    def taste_at(self, person: np.ndarray, stage: np.ndarray) -> Taste:
        """Tastes of persons at stages of their change, one row each."""
        part = (stage / np.maximum(STAGES[self.change[person]] - 1, 1))[:, None]
        pairs = zip(self.taste.axes, self.later_taste.axes, strict=True)
        return Taste(*((1 - part) * first[person] + part * later[person] for first, later in pairs))


def draw_people(accounts: int, period: Period, mix: str, rng: np.random.Generator) -> People:
    """Draw `accounts` users and a quarter as many visitors without an account.

    `mix` names how common each persona is. A few humans have two accounts: what they like is the same in both.
    """
    n, days = accounts + max(2, accounts // 4), period.days
    human = _humans(accounts, n, rng)
    shares = personas.draw_shares(n, mix, rng)[human]
    taste = _tastes(shares, rng).of(human)
    life = rng.choice(6, n, p=_LIFE_CYCLES)[human]
    turn = rng.integers(max(1, days // 5), max(2, 4 * days // 5) + 1, n)
    # Newcomers arrive all through the period.
    turn = np.where(life == LifeCycle.NEW, rng.integers(0, days, n), turn[human])
    signup = period.start_us - (rng.random(n) * 500 * DAY).astype(np.int64) - DAY
    signup = np.where(life == LifeCycle.NEW, period.start_us + turn * DAY + rng.integers(0, DAY, n), signup)
    change, change_day, change_days, later = _changes(taste, life, turn, days, rng)
    device, linked = _devices(accounts, signup, period, rng)
    thrift = (personas.trait(shares, "thrift") * rng.gamma(4.0, 0.25, n))[human]
    return People(
        accounts=accounts,
        human=human,
        shares=shares,
        taste=taste,
        later_taste=later.of(human),
        change=change[human],
        change_day=change_day[human],
        change_days=change_days[human],
        life_cycle=life,
        turn_day=turn,
        activity=_activity(shares, accounts, rng),
        hour=(personas.main_hour(shares) + rng.normal(0, 1.2, n)[human] - 8) % 24,
        weekend=personas.trait(shares, "weekend") * rng.lognormal(0.0, 0.35, n)[human],
        price_sensitivity=thrift,
        price_level=personas.trait(shares, "spend") + rng.normal(0, 0.6, n)[human],
        coupon_response=(0.9 * thrift + rng.normal(0, 0.3, n)).clip(-0.3, 3.0),
        ad_response=rng.normal(0, 0.6, n),
        harshness=rng.normal(0, 0.35, n)[human],
        english=(rng.random(n)[human] < personas.trait(shares, "english")),
        channel=rng.dirichlet([4.0, 2.0, 2.0, 0.5], n),
        signup_us=signup,
        device=device,
        linked_us=linked,
        **_told(human, signup, period, rng),
    )


def _activity(shares: np.ndarray, accounts: int, rng: np.random.Generator) -> np.ndarray:
    """Sessions a day, a heavy tail: half of the accounts come less than twice a month, few almost daily.

    Who has no account comes once or twice in a quarter.
    """
    often: np.ndarray = personas.trait(shares, "visits") * rng.lognormal(_USUAL_ACTIVITY, _ACTIVITY_SPREAD, len(shares))
    often[accounts:] = _VISITORS_ACTIVITY
    return np.minimum(often, _MOST_ACTIVE)


def _told(human: np.ndarray, signup: np.ndarray, period: Period, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """What people tell the shop of themselves, and what they allow it."""
    n = len(human)
    asked = rng.choice([7, 3, 1, 5, 0, -1], n, p=[0.46, 0.2, 0.15, 0.08, 0.07, 0.04])
    changed = np.where(rng.random(n) < 0.08, period.start_us + rng.integers(0, period.days * DAY, n), 0)
    return {
        "birth_year": np.clip(rng.normal(1991, 10, n), 1945, 2008).astype(int)[human],
        "gender": rng.choice(4, n, p=[0.5, 0.4, 0.03, 0.07])[human],
        "region": rng.integers(0, len(REGIONS), n)[human],
        "consents": asked,
        "later_consents": np.where(asked <= 0, 3, asked & rng.integers(0, 7, n)),
        "consent_us": np.where(changed > signup, changed, 0),
    }


def _humans(accounts: int, n: int, rng: np.random.Generator) -> np.ndarray:
    """Who is behind each account: about three in a hundred are somebody's second one."""
    human = np.arange(n)
    second = np.flatnonzero(rng.random(accounts) < 0.03)
    first = np.setdiff1d(np.arange(accounts), second)
    if len(first):
        human[second] = rng.choice(first, len(second))
    return human


def _tastes(shares: np.ndarray, rng: np.random.Generator) -> Taste:
    """Leanings of the personas, and a few clear favourites of a person's own."""
    spreads = (1.7, 0.9, 1.7, 1.5)
    axes = zip(personas.leanings(shares), spreads, strict=True)
    return Taste(*(lean + spread * (rng.exponential(1.0, lean.shape) - 1.0) for lean, spread in axes))


def _changes(
    taste: Taste, life: np.ndarray, turn: np.ndarray, days: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray, Taste]:
    """Kind, first day and length of each person's change, and the taste it leads to.

    New parents turn to baby goods and toys from one day to the next; of the others, some switch and some drift.
    """
    n = len(life)
    parent = life == LifeCycle.NEW_PARENT
    drawn = rng.choice(3, n, p=[0.7, 0.15, 0.15])
    change = np.where(parent, Change.SWITCHES, drawn)
    moves = ~parent & (change != Change.STAYS)
    category = taste.category.copy()
    category[moves] = rng.permuted(category[moves], axis=1)
    category[parent, BABY] = category.max(axis=1)[parent] + 2.0
    category[parent, TOYS] = category.max(axis=1)[parent] - 1.0
    colour = np.where((moves & (rng.random(n) < 0.5))[:, None], np.roll(taste.colour, 4, axis=1), taste.colour)
    style = np.where((moves & (rng.random(n) < 0.4))[:, None], np.roll(taste.style, 2, axis=1), taste.style)
    length = np.where(change == Change.DRIFTS, rng.integers(max(1, days // 6), max(2, days // 2) + 1, n), 0)
    start = np.where(change == Change.DRIFTS, turn // 2, turn)
    return change, np.where(change == Change.STAYS, NEVER, start), length, Taste(category, taste.brand, colour, style)


def _devices(
    accounts: int, signup: np.ndarray, period: Period, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Devices and link times: everyone has one, a third a second one.

    The second may be somebody else's first (a family's), and on a quarter of the others its owner never logs in.
    """
    n = len(signup)
    device = np.stack([np.arange(n), np.full(n, -1)], axis=1)
    linked = np.stack([signup + rng.integers(0, HOUR, n), np.full(n, FAR)], axis=1)
    second = (np.arange(n) < accounts) & (rng.random(n) < 0.35)
    shared = second & (rng.random(n) < 0.2) & (np.arange(n) > 0)
    device[second, 1] = n + np.flatnonzero(second)
    device[shared, 1] = np.flatnonzero(shared) - 1
    logs_in = second & (shared | (rng.random(n) < 0.75))
    login = np.maximum(signup + HOUR, period.start_us + (rng.random(n) * 0.7 * period.days * DAY).astype(np.int64))
    linked[logs_in, 1] = login[logs_in]
    return device, linked
