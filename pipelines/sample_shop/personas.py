"""Kinds of shoppers. A person is a mix of them; how common each is, is the shop's mix."""

from typing import NamedTuple

import numpy as np

from .goods import BRANDS, CATEGORIES, COLOURS, STYLES

Leanings = dict[str, float]  # English name → by how much the log-preference rises


class Persona(NamedTuple):
    """What persons of a kind have in common; what they like beyond that is their own."""

    name: str
    categories: Leanings
    colours: Leanings
    styles: Leanings
    brands: Leanings
    spend: float  # log CNY they like to pay for a thing
    thrift: float  # mean sensitivity to other prices
    hour: float  # favourite hour, UTC+8
    weekend: float  # factor on Saturdays and Sundays
    english: float  # share who use the shop in English
    visits: float  # factor on the number of sessions


PERSONAS = (
    Persona("trend hunter", {"clothing": 1.6, "shoes": 1.4, "beauty": 1.0, "accessories": 0.8},
            {"pink": 1.0, "purple": 0.8, "black": 0.6}, {"street": 1.4, "cute": 0.8},
            {"Mosso": 0.8, "Hanami": 0.6}, 5.2, 0.6, 22, 1.1, 0.2, 1.5),
    Persona("quiet professional", {"electronics": 1.4, "stationery": 0.8, "bags": 1.2, "home": 0.6},
            {"black": 1.1, "navy": 1.0, "white": 0.8}, {"minimal": 1.6, "elegant": 0.8},
            {"Lumora": 0.9, "Orbita": 0.7}, 6.3, 0.4, 12, 0.8, 0.45, 0.9),
    Persona("family organiser", {"kitchen": 1.4, "home": 1.2, "toys": 1.0, "stationery": 0.6},
            {"yellow": 0.7, "teal": 0.7, "brown": 0.5}, {"cute": 0.9, "vintage": 0.7},
            {"Duckling": 0.9, "Pebble": 0.7}, 4.6, 1.0, 20, 1.5, 0.1, 1.1),
    Persona("weekend athlete", {"sports": 1.8, "outdoor": 1.5, "shoes": 0.7},
            {"blue": 0.9, "orange": 0.9, "green": 0.7}, {"sporty": 1.8},
            {"Northpine": 0.9, "Fernweh": 0.9}, 5.6, 0.5, 8, 1.8, 0.25, 0.9),
    Persona("bargain hunter", {"accessories": 0.7, "beauty": 0.6, "kitchen": 0.5},
            {"red": 0.8, "yellow": 0.4}, {"cute": 0.4, "street": 0.4},
            {"Tanghe": 0.8, "Bluebird": 0.6}, 4.0, 1.6, 20, 1.0, 0.05, 1.2),
    Persona("collector", {"music": 1.8, "toys": 0.8, "home": 0.7},
            {"brown": 1.0, "red": 0.6, "navy": 0.5}, {"vintage": 1.8},
            {"Yunlai": 0.8, "Arcadia": 0.8}, 6.0, 0.4, 22, 1.2, 0.3, 0.7),
)  # fmt: skip

# How common each persona is, in their order.
MIXES = {
    "city": (0.28, 0.26, 0.12, 0.14, 0.12, 0.08),
    "family": (0.10, 0.10, 0.36, 0.12, 0.24, 0.08),
}
DEFAULT_MIX = "city"
_CONCENTRATION = 1.2  # small: a person is mostly one persona


def draw_shares(count: int, mix: str, rng: np.random.Generator) -> np.ndarray:
    """How much of each persona each person is, (count, personas); rows sum to 1."""
    return rng.dirichlet(_CONCENTRATION * np.array(MIXES[mix]), count)


def leanings(shares: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Log-preferences that persons owe to their personas: category, brand, colour, style; (count, names) each."""
    return (
        shares @ _matrix("categories", [category.en for category in CATEGORIES]),
        shares @ _matrix("brands", [brand.en for brand in BRANDS]),
        shares @ _matrix("colours", [colour.en for colour in COLOURS]),
        shares @ _matrix("styles", [style.en for style in STYLES]),
    )


def _matrix(axis: str, names: list[str]) -> np.ndarray:
    """Leanings of all personas on an axis, (personas, names)."""
    matrix = np.zeros((len(PERSONAS), len(names)))
    for row, persona in enumerate(PERSONAS):
        for name, lift in getattr(persona, axis).items():
            matrix[row, names.index(name)] = lift
    return matrix


def trait(shares: np.ndarray, name: str) -> np.ndarray:
    """A number of the personas, such as `spend`, averaged over each person's mix."""
    average: np.ndarray = shares @ np.array([getattr(persona, name) for persona in PERSONAS])
    return average


def main_hour(shares: np.ndarray) -> np.ndarray:
    """Favourite hour (UTC+8) of each person's strongest persona: hours are not averaged."""
    return np.array([persona.hour for persona in PERSONAS])[shares.argmax(axis=1)]
