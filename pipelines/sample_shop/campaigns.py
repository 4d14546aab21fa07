"""The shop's own doings: weekly ads, messages and coupons, and what people make of them."""

from dataclasses import dataclass

import numpy as np

from .catalogue import DAY, HOUR
from .events import Columns, EventLog
from .mind import Mind
from .people import LifeCycle
from .world import World

MINUTE = HOUR // 60
_WEEK = 7


@dataclass(frozen=True)
class Weekly:
    """What the shop sends each person each week: one row per person of a slice and week, in that order."""

    start: int  # first person of the slice
    weeks: int
    base: Columns  # person, day, at, campaign, device
    gone: np.ndarray  # churned by then
    coupon: np.ndarray  # whether a coupon was issued

    def place(self, events: Columns) -> np.ndarray:
        """The row of each event's person and week."""
        return (events["person"] - self.start) * self.weeks + events["day"] // _WEEK

    def holds_coupon(self, events: Columns) -> np.ndarray:
        """Whether each event's person has a coupon of that week by then."""
        place = self.place(events)
        held: np.ndarray = self.coupon[place] & (events["at"] > self.base["at"][place])
        return held


def draw_weekly(world: World, who: slice, rng: np.random.Generator) -> Weekly:
    """Decide what goes out to whom: coupons are drawn, so that their effect can be told from taste."""
    people, period = world.people, world.period
    weeks = -(-period.days // _WEEK)
    grid = np.meshgrid(np.arange(who.start, who.stop), np.arange(weeks), indexing="ij")
    person, week = (axis.ravel() for axis in grid)
    day = week * _WEEK
    gone = (people.life_cycle[person] == LifeCycle.CHURNED) & (day >= people.turn_day[person])
    hour = (people.hour[person] + rng.normal(0, 2, len(person))) % 24
    at = period.start_us + day * DAY + (hour * HOUR).astype(np.int64)
    base = {"person": person, "day": day, "at": at, "campaign": week, "device": people.device[person, 0]}
    issued = rng.random(len(person)) < np.where(gone, 0.5, 0.3)
    return Weekly(who.start, weeks, base, gone, issued)


def campaigns(
    log: EventLog, mind: Mind, weekly: Weekly, bought: Columns, world: World, rng: np.random.Generator
) -> None:
    """Log ads, messages and coupons of each week, and all online purchases (some with a coupon)."""
    base, gone, n = weekly.base, weekly.gone, len(weekly.gone)
    _ads(log, mind, weekly, world, rng)
    opened = ~gone & (rng.random(n) < 0.22)
    log.add("message_opened", base, opened, at=base["at"][opened] + 40 * MINUTE)
    leaves = rng.random(n) < np.where(gone, 0.01, 0.004)
    log.add("unsubscribe", base, leaves, at=base["at"][leaves] + 45 * MINUTE)
    nowhere = np.full(int(weekly.coupon.sum()), -1)
    log.add("coupon_issued", base, weekly.coupon, device=nowhere)
    _online_purchases(log, bought, weekly, world, rng)


def _ads(log: EventLog, mind: Mind, weekly: Weekly, world: World, rng: np.random.Generator) -> None:
    """One ad a week for half of those who are still there; a click follows liking and the person's way with ads."""
    base, n = weekly.base, len(weekly.gone)
    row = mind.row(base["person"], base["day"])
    product = mind.shown(row, base["day"], rng)
    at = base["at"] + rng.integers(0, 3 * DAY, n)
    seen = ~weekly.gone & (rng.random(n) < 0.5) & (world.catalogue.column("launched_us")[product] <= at)
    log.add("ad_impression", base, seen, product=product[seen], at=at[seen])
    drawn_to = 0.9 * mind.z(row, product) + world.people.ad_response[base["person"]]
    clicked = seen & (rng.random(n) < 1 / (1 + np.exp(2.0 - drawn_to)))
    log.add("ad_click", base, clicked, product=product[clicked], at=at[clicked] + 5_000_000)


def _online_purchases(log: EventLog, bought: Columns, weekly: Weekly, world: World, rng: np.random.Generator) -> None:
    """Purchases; the first of a week may use that week's coupon: more often, the more coupons matter to the person."""
    n = len(bought["at"])
    _, first = np.unique(weekly.place(bought), return_index=True)
    firsts = np.zeros(n, dtype=bool)
    firsts[first] = True
    uses = 1 / (1 + np.exp(-1.2 * world.people.coupon_response[bought["person"]]))
    used = firsts & weekly.holds_coupon(bought) & (rng.random(n) < uses)
    discount = np.where(used, np.maximum(100, bought["cents"] // 1000 * 100), 0)
    campaign = np.where(used, bought["day"] // _WEEK, -1)
    bought = bought | {"discount": discount, "campaign": campaign}
    log.add("purchase", bought, np.ones(n, dtype=bool))
    nothing = {name: bought[name] for name in ("person", "at", "device", "channel", "session", "product", "campaign")}
    log.add("coupon_redeemed", nothing, used, at=bought["at"][used] - 1)
