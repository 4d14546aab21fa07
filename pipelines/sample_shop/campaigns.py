"""The shop's own doings: weekly ads, messages and coupons, and what people make of them."""

from typing import TYPE_CHECKING

import numpy as np

from .catalogue import DAY, HOUR, Catalogue
from .events import EventLog
from .people import LifeCycle, People

if TYPE_CHECKING:
    from .behaviour import Columns, Mind, Period

MINUTE = HOUR // 60


def campaigns(
    log: EventLog,
    mind: "Mind",
    bought: "Columns",
    people: People,
    catalogue: Catalogue,
    period: "Period",
    who: slice,
    rng: np.random.Generator,
) -> None:
    """Log ads, messages and coupons of each week, and all online purchases (some with a coupon)."""
    weeks = (period.days + 6) // 7
    person, week = (
        grid.ravel() for grid in np.meshgrid(np.arange(who.start, who.stop), np.arange(weeks), indexing="ij")
    )
    n = len(person)
    day = week * 7
    gone = (people.life_cycle[person] == LifeCycle.CHURNED) & (day >= people.turn_day[person])
    hour = (people.hour[person] + rng.normal(0, 2, n)) % 24
    at = period.start_us + day * DAY + (hour * HOUR).astype(np.int64)
    base = {"person": person, "day": day, "at": at, "campaign": week, "device": people.device[person, 0]}
    _ads(log, mind, base, gone, catalogue, rng)
    opened = ~gone & (rng.random(n) < 0.22)
    log.add("message_opened", base, opened, at=at[opened] + 40 * MINUTE)
    leaves = rng.random(n) < np.where(gone, 0.01, 0.004)
    log.add("unsubscribe", base, leaves, at=at[leaves] + 45 * MINUTE)
    issued = rng.random(n) < np.where(gone, 0.5, 0.3)
    log.add("coupon_issued", base, issued, at=at[issued], device=np.full(int(issued.sum()), -1))
    _online_purchases(log, bought, base, issued.reshape(-1, weeks), who, rng)


def _ads(
    log: EventLog,
    mind: "Mind",
    base: "Columns",
    gone: np.ndarray,
    catalogue: Catalogue,
    rng: np.random.Generator,
) -> None:
    row = mind.row(base["person"], base["day"])
    product = mind.shown(row, rng)
    at = base["at"] + rng.integers(0, 3 * DAY, len(row))
    seen = ~gone & (rng.random(len(row)) < 0.5) & (catalogue.column("launched_us")[product] <= at)
    log.add("ad_impression", base, seen, product=product[seen], at=at[seen])
    clicked = seen & (rng.random(len(row)) < 1 / (1 + np.exp(2.0 - 0.9 * mind.z(row, product))))
    log.add("ad_click", base, clicked, product=product[clicked], at=at[clicked] + 5_000_000)


def _online_purchases(
    log: EventLog,
    bought: "Columns",
    base: "Columns",
    issued: np.ndarray,
    who: slice,
    rng: np.random.Generator,
) -> None:
    """Purchases; the first of a week may use that week's coupon, if the person has it by then."""
    n = len(bought["at"])
    local, week = bought["person"] - who.start, bought["day"] // 7
    _, first = np.unique(local * issued.shape[1] + week, return_index=True)
    firsts = np.zeros(n, dtype=bool)
    firsts[first] = True
    had_by = base["at"].reshape(issued.shape)[local, week]
    used = firsts & issued[local, week] & (bought["at"] > had_by) & (rng.random(n) < 0.6)
    discount = np.where(used, np.maximum(100, bought["cents"] // 1000 * 100), 0)
    campaign = np.where(used, week, -1)
    bought = bought | {"discount": discount, "campaign": campaign}
    log.add("purchase", bought, np.ones(n, dtype=bool))
    nothing = {name: bought[name] for name in ("person", "at", "device", "channel", "session", "product", "campaign")}
    log.add("coupon_redeemed", nothing, used, at=bought["at"][used] - 1)
