"""What the shop sells: products with latent looks and qualities, and their versions over time."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from .goods import (
    ASPECTS,
    BRANDS,
    BRANDS_PER_CATEGORY,
    CATEGORIES,
    COLOURS,
    EDITIONS,
    STYLES,
    THINGS,
    USED_UP,
    Named,
    Thing,
)

HOUR = 3_600_000_000  # microseconds
DAY = 24 * HOUR
FAR = 2**62
FULL_SIZE = 1200  # products of the largest shop
_SMALL_SIZE, _PER_USER = 60, 0.4  # products of the smallest shop; products for each user of a larger one
_TWIN_SHARE = 0.16  # of the products that are drawn; each has one or two variants
_NEW_SHARE = 0.3  # launched during the period
_FILMED_SHARE = 0.24


@dataclass(frozen=True)
class Product:
    """One product. Colour and style are latent: the row that is written may not name them."""

    index: int
    product_id: str
    thing: Thing
    category: int
    brand: int
    colour: int
    style: int
    edition: int
    cents: int
    twin: bool  # another product has the same words; only the picture differs
    title: str
    pictures: int
    filmed: bool
    launched_us: int
    changed_us: int  # FAR if it never changes
    later_cents: int
    later_colour: int

    @property
    def paint(self) -> str:
        return COLOURS[self.colour].paint


@dataclass(frozen=True)
class Catalogue:
    """The products, and the columns of them that behaviour is drawn from (arrays of length P)."""

    products: tuple[Product, ...]
    popularity: np.ndarray  # float, mean 1
    aspects: np.ndarray  # (P, len(ASPECTS)) true quality of each aspect, about -1 … 1

    def column(self, name: str) -> np.ndarray:
        return np.array([getattr(product, name) for product in self.products], dtype=np.int64)

    @property
    def used_up(self) -> np.ndarray:
        """Whether each product is a thing that is used up and bought again, bool (P,)."""
        return np.array([product.thing.en in USED_UP for product in self.products])

    def __len__(self) -> int:
        return len(self.products)


def catalogue_size(users: int) -> int:
    """Between 60 and 1,200 products, two for five users: 120 for a shop of 300 users, all from 3,000 users on."""
    return int(min(FULL_SIZE, max(_SMALL_SIZE, _PER_USER * users)))


def build_catalogue(size: int, start_us: int, days: int, rng: np.random.Generator) -> Catalogue:
    """Draw a catalogue.

    Args:
        size: number of products.
        start_us: start of the period, microseconds since 1970 UTC.
        days: length of the period.
        rng: source of all chance here.
    """
    sellers = [rng.permutation(len(BRANDS))[:BRANDS_PER_CATEGORY] for _ in CATEGORIES]
    products: list[Product] = []
    while len(products) < size:
        product = _draw(len(products), sellers, start_us, days, rng)
        products.append(product)
        if product.twin:
            products.extend(_twins(product, min(int(rng.integers(1, 3)), size - len(products)), rng))
    popularity = rng.lognormal(0.0, 0.8, len(products))
    aspects = np.clip(rng.normal(0.25, 0.5, (len(products), len(ASPECTS))), -1, 1)
    return Catalogue(tuple(products), popularity / popularity.mean(), aspects)


def _draw(index: int, sellers: list[np.ndarray], start_us: int, days: int, rng: np.random.Generator) -> Product:
    category = index % len(CATEGORIES) if index < 2 * len(CATEGORIES) else int(rng.integers(len(CATEGORIES)))
    thing = THINGS[category][int(rng.integers(len(THINGS[category])))]
    brand = int(rng.choice(sellers[category]))
    colour, style, edition = (int(rng.integers(len(names))) for names in (COLOURS, STYLES, EDITIONS))
    # A brand's price level is its own: even positions are cheaper.
    price = thing.price * (0.75 + 0.06 * brand) * float(rng.lognormal(0, 0.15))
    cents = max(500, round(price) * 100 - int(rng.choice([0, 10, 100])))
    twin = bool(rng.random() < _TWIN_SHARE)
    fresh = index >= 2 * len(CATEGORIES) and bool(rng.random() < _NEW_SHARE)
    age = int(rng.integers(10, 400)) * DAY
    launched = start_us + int(rng.integers(days * DAY * 9 // 10 + 1)) if fresh else start_us - age
    changes = not fresh and not twin and bool(rng.random() < 0.09)
    return Product(
        index=index,
        product_id=f"p{index + 1:05d}",
        thing=thing,
        category=category,
        brand=brand,
        colour=colour,
        style=style,
        edition=edition,
        cents=cents,
        twin=twin,
        title=_title(thing, brand, colour, style, edition, twin, rng),
        pictures=int(rng.choice([1, 2, 3], p=[0.3, 0.45, 0.25])),
        filmed=bool(rng.random() < _FILMED_SHARE),
        launched_us=launched,
        changed_us=start_us + int((0.2 + 0.6 * rng.random()) * days * DAY) if changes else FAR,
        later_cents=max(500, round(cents * float(rng.choice([0.7, 0.8, 0.9, 1.15])) / 100) * 100),
        later_colour=int(rng.integers(len(COLOURS))) if rng.random() < 0.5 else colour,
    )


def _twins(first: Product, count: int, rng: np.random.Generator) -> Iterator[Product]:
    """Variants of a product: in another colour and, every other time, also in another style."""
    colours = [colour for colour in rng.permutation(len(COLOURS)).tolist() if colour != first.colour]
    styles = [style for style in rng.permutation(len(STYLES)).tolist() if style != first.style]
    restyled = rng.random(count) < 0.5
    for step in range(count):
        index = first.index + 1 + step
        yield replace(
            first,
            index=index,
            product_id=f"p{index + 1:05d}",
            colour=colours[step],
            later_colour=colours[step],
            style=styles[step] if restyled[step] else first.style,
            filmed=False,
        )


def _title(
    thing: Thing, brand: int, colour: int, style: int, edition: int, twin: bool, rng: np.random.Generator
) -> str:
    """A title in Chinese, English or both; a twin's names neither its colour nor its style."""
    maker, stuff = BRANDS[brand], EDITIONS[edition]
    look = Named(STYLES[style].en + " ", STYLES[style].zh)
    shade: Named = Named(COLOURS[colour].en + " ", COLOURS[colour].zh)
    if twin or rng.random() < 0.3:
        shade = Named("", "")
    if twin:
        look = Named("", "")
    zh = str(
        rng.choice([
            f"{maker.zh} {look.zh}{shade.zh}{thing.zh}",
            f"【{maker.zh}】{thing.zh} {shade.zh}{stuff.zh} {look.zh}".rstrip(),
            f"{maker.zh}{shade.zh}{thing.zh} 送礼自用",
        ])
    )  # fmt: skip
    en = str(
        rng.choice([
            f"{maker.en} {look.en}{shade.en}{thing.en}",
            f"{maker.en} {shade.en}{thing.en}, {stuff.en}",
            f"{shade.en}{thing.en} by {maker.en}",
        ])
    )  # fmt: skip
    both = f"{maker.zh} {maker.en} {shade.zh}{thing.zh} {thing.en}"
    return str(rng.choice([zh, en, both], p=[0.5, 0.35, 0.15]))
