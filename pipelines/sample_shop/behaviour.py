"""What people do, drawn from their latent state: sessions, searches, lists, clicks, baskets, returns."""

import numpy as np

from .campaigns import Weekly, campaigns, draw_weekly
from .catalogue import DAY, HOUR, Catalogue
from .events import Columns, EventLog, Events
from .mind import Mind
from .missions import firsts, missions
from .people import CHANNELS
from .period import sale_days, visits_by_day
from .visiting import sessions_per_day
from .world import World

SECOND = 1_000_000
STORE = CHANNELS.index("store")
QUERY_FORMS = 5  # ways to ask for a product, in each language
_SALE_PUSH = 0.5
# Log-odds of buying what is in the basket on the visit with which a mission ends, and on those before it.
_ENDS, _PENDS = 0.4, -1.2
_SECOND_PIECE = 0.05  # share of purchases of a thing already bought that are made although it is not used up
_NEW_DAYS = 14.0  # for about so long after signing up people search more


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def simulate(world: World, who: slice, rng: np.random.Generator) -> Events:
    """All events of a slice of people, in order of time; sessions are numbered from 0 within the slice."""
    mind, log = Mind(world.people, world.catalogue, who, world.days), EventLog()
    weekly = draw_weekly(world, who, rng)
    visits = missions(mind, _visits(world, who, rng), world.catalogue, rng)
    _store_purchases(log, visits, world.catalogue, rng)
    lists = _lists(log, mind, visits, world, rng)
    views = _clicks(log, mind, lists, rng)
    bought = _baskets(log, views, weekly, world, rng)
    _returns(log, bought, world.catalogue, rng)
    campaigns(log, mind, weekly, bought, world, rng)
    return log.finish(world.people, world.period.end_us)


def _visits(world: World, who: slice, rng: np.random.Generator) -> Columns:
    """Sessions: who, when, on which device and channel."""
    people, period = world.people, world.period
    count = rng.poisson(sessions_per_day(people, period, who) * visits_by_day(period)[None, :])
    local, day = np.nonzero(count)
    times = count[local, day]
    person, day = np.repeat(local, times) + who.start, np.repeat(day, times)
    n = len(person)
    hour = (people.hour[person] + rng.normal(0, 2.2, n)) % 24
    at = period.start_us + day * DAY + (hour * HOUR).astype(np.int64)
    cumulated = np.cumsum(people.channel[person], axis=1)
    channel = np.minimum((rng.random(n)[:, None] > cumulated).sum(axis=1), STORE)
    second = (people.device[person, 1] >= 0) & (rng.random(n) < 0.4)
    device = np.where(channel == STORE, -1, people.device[person, second.astype(int)])
    return {
        "person": person,
        "day": day,
        "at": at,
        "channel": channel,
        "device": device,
        "session": np.arange(n),
    }


def _chosen(columns: Columns, where: np.ndarray) -> Columns:
    return {name: column[where] for name, column in columns.items()}


def price_at(catalogue: Catalogue, product: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Cents a product costs at a moment."""
    now, later = catalogue.column("cents")[product], catalogue.column("later_cents")[product]
    return np.where(at < catalogue.column("changed_us")[product], now, later)


def _store_purchases(log: EventLog, visits: Columns, catalogue: Catalogue, rng: np.random.Generator) -> None:
    """In the shop some buy what they came for."""
    product, at = visits["intent"], visits["at"]
    buys = (visits["channel"] == STORE) & visits["last"] & (rng.random(len(at)) < 0.6)
    buys &= catalogue.column("launched_us")[product] <= at
    log.add("purchase", visits, buys, product=product[buys], quantity=np.ones(int(buys.sum())),
            cents=price_at(catalogue, product[buys], at[buys]))  # fmt: skip


def _lists(log: EventLog, mind: Mind, visits: Columns, world: World, rng: np.random.Generator) -> Columns:
    """Searches, and the lists of products that people see after them or while browsing."""
    visits = _chosen(visits, visits["channel"] != STORE)
    n, people = len(visits["at"]), world.people
    # Who is new to the shop asks; who knows it browses.
    age = np.maximum(visits["at"] - people.signup_us[visits["person"]], 0) / DAY
    searches = rng.random(n) < 0.3 + 0.35 * np.exp(-age / _NEW_DAYS)
    english = people.english[visits["person"]] ^ (rng.random(n) < 0.06)
    query = (visits["intent"] * 2 + english) * QUERY_FORMS + rng.integers(0, QUERY_FORMS, n)
    log.add("search", visits, searches, query=query[searches])
    length = 4 + rng.poisson(np.where(searches, 6.0, 5.0))
    lists = {name: np.repeat(column, length) for name, column in visits.items()}
    lists["position"] = np.arange(length.sum()) - np.repeat(np.cumsum(length) - length, length) + 1
    lists["row"] = mind.row(lists["person"], lists["day"])
    asked = rng.random(len(lists["row"])) < np.where(np.repeat(searches, length), 0.85, 0.35)
    found = mind.found(lists["intent"], lists["day"], rng)
    lists["product"] = np.where(asked, found, mind.shown(lists["row"], lists["day"], rng))
    lists["at"] = lists["at"] + (2 + 9 * lists["position"]) * SECOND + rng.integers(0, SECOND, len(asked))
    lists = _chosen(lists, world.catalogue.column("launched_us")[lists["product"]] <= lists["at"])
    log.add("impression", lists, np.ones(len(lists["at"]), dtype=bool))
    return lists


def _clicks(log: EventLog, mind: Mind, lists: Columns, rng: np.random.Generator) -> Columns:
    """Clicks fall with the place in the list and rise with liking and need; a click opens a view."""
    z = mind.z(lists["row"], lists["product"]) + mind.fit(lists["intent"], lists["product"])
    lists = lists | {"z": z}
    clicked = rng.random(len(z)) < _sigmoid(1.3 * z - 0.2 * lists["position"] - 3.6)
    log.add("click", lists, clicked, at=lists["at"][clicked] + 3 * SECOND)
    views = _chosen(lists, clicked | (rng.random(len(z)) < 0.02))
    n = len(views["at"])
    views["dwell"] = np.round(np.clip(rng.lognormal(2.3 + 0.4 * views["z"], 0.7), 1, 900), 1)
    views["at"] = views["at"] + 4 * SECOND + rng.integers(0, SECOND, n)
    log.add("view", views, np.ones(n, dtype=bool))
    views["at"] = views["at"] + (views["dwell"] * 0.8 * SECOND).astype(np.int64)
    del views["dwell"], views["position"]
    return views


def _baskets(log: EventLog, views: Columns, weekly: Weekly, world: World, rng: np.random.Generator) -> Columns:
    """Favourites, shares, baskets and purchases after a view; a coupon and a sale help. Returns the purchases."""
    catalogue = world.catalogue
    z, n = views["z"], len(views["at"])
    favourite = rng.random(n) < _sigmoid(0.9 * z - 3.5)
    log.add("favorite", views, favourite)
    regret = favourite & (rng.random(n) < 0.12)
    log.add("unfavorite", views, regret, at=views["at"][regret] + rng.integers(HOUR, 12 * DAY, int(regret.sum())))
    log.add("share", views, rng.random(n) < _sigmoid(0.7 * z - 4.5))
    carted = rng.random(n) < _sigmoid(1.1 * z - 3.8)
    views = views | {
        "at": views["at"] + 2 * SECOND,
        "cents": price_at(catalogue, views["product"], views["at"]),
        "quantity": 1 + rng.poisson(0.15, n),
    }
    log.add("add_to_cart", views, carted)
    push = np.where(weekly.holds_coupon(views), world.people.coupon_response[views["person"]], 0.0)
    push = push + np.where(sale_days(world.period)[views["day"]], _SALE_PUSH, 0.0)
    push = push + np.where(views["last"], _ENDS, _PENDS)
    buys = carted & (rng.random(n) < _sigmoid(0.6 * z - 1.6 + push))
    buys[buys] = _wanted_again(_chosen(views, buys), catalogue, rng)
    drops = carted & ~buys & (rng.random(n) < 0.3)
    log.add(
        "remove_from_cart",
        views,
        drops,
        at=views["at"][drops] + rng.integers(SECOND, 2 * DAY, int(drops.sum())),
    )
    bought = _chosen(views, buys)
    bought["at"] = bought["at"] + rng.integers(20 * SECOND, 900 * SECOND, len(bought["at"]))
    bought["cents"] = price_at(catalogue, bought["product"], bought["at"])
    return bought


def _wanted_again(views: Columns, catalogue: Catalogue, rng: np.random.Generator) -> np.ndarray:
    """Which would-be purchases stand: of a thing that is not used up, hardly anybody buys a second one."""
    order = np.argsort(views["at"], kind="stable")
    first = np.empty(len(order), dtype=bool)
    first[order] = firsts(views["person"][order], views["product"][order], len(catalogue))
    stands: np.ndarray = first | catalogue.used_up[views["product"]] | (rng.random(len(order)) < _SECOND_PIECE)
    return stands


def _returns(log: EventLog, bought: Columns, catalogue: Catalogue, rng: np.random.Generator) -> None:
    """Poor quality and a poor fit come back after some days."""
    fault = catalogue.aspects[bought["product"], 0] + catalogue.aspects[bought["product"], 2]
    back = rng.random(len(fault)) < _sigmoid(-2.4 - 1.1 * fault)
    log.add("return", bought, back, at=bought["at"][back] + rng.integers(3 * DAY, 14 * DAY, int(back.sum())))
