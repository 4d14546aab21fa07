"""What products and searches are about: shares in [0, 1] of the catalogue's facet values and topics. numpy, no Spark.

A facet value comes from the product's column or attribute; where that is silent, from the words of its title and
description; where those are silent, from its picture: as the shop's own products look whose words say it
(`look_alikes`), or where those are too few by a softmax over the cosines of the picture and the captions (`prompts`) of
the facet's values, as in zero-shot classification (Radford et al., 2021). A topic holds by its words. One with
prompts also holds by its picture, with an even chance at least: as those look whose words name it, or where those are
too few by how much nearer its captions are to the picture than the captions of what it is not (`contrast`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pipelines.tags.catalogue import Catalogue, Facet
from pipelines.tags.look_alikes import LookAlikes
from pipelines.tags.words import Vocabulary

Floats = NDArray[np.float32]

# Shares below say nothing.
LEAST_SHARE = 0.05
# A topic that no word names needs at least an even chance.
LEAST_LIKELY = 0.5
ABOUT, NOT_NAMED = "about", "not named"
# The difference of two captions' cosines that makes one e times as likely as the other.
TEMPERATURE = 0.02
PRICE_THIRDS = ("low", "middle", "high")


@dataclass(frozen=True)
class Product:
    """What is known of a product at a moment; `picture` is its unit vector, None where it has none."""

    title: str
    description: str
    category: str | None
    brand: str | None
    attributes: Mapping[str, str]
    price_third: str | None
    picture: Floats | None


@dataclass(frozen=True)
class Captions:
    """Unit vectors (n, dimensions) of captions, and which value each is of (an index; -1: contrast)."""

    vectors: Floats
    of_value: NDArray[np.int64]


class Recogniser:
    """Applies a catalogue to products and search texts.

    `captions` are those of the facets and topics that have prompts, by name; `look_alikes` what was learned from the
    shop's products, by facet.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        captions: Mapping[str, Captions] | None = None,
        look_alikes: Mapping[str, LookAlikes] | None = None,
    ) -> None:
        self._catalogue = catalogue
        self._captions = captions or {}
        self._look_alikes = look_alikes or {}

    def of_product(self, product: Product) -> dict[str, float]:
        """Shares by key: `<facet>:<value>` or a topic's id."""
        text = f"{product.title} {product.description}"
        found: dict[str, float] = {}
        for name, facet in self._catalogue.facets.items():
            shares = self._said(name, facet, product, text) or self._by_picture(name, facet, product)
            found.update({f"{name}:{value}": share for value, share in shares})
        named = set(self._topics.named_in(f"{text} {product.category or ''}"))
        for name in self._catalogue.topics:
            share = 1.0 if name in named else self._looks_like(name, product)
            if share >= LEAST_SHARE:
                found[name] = share
        return found

    def labels(self, product: Product) -> dict[str, str]:
        """What the product's attributes and words say: by facet its one value (several or none: left out), by topic
        ABOUT or NOT_NAMED."""
        text = f"{product.title} {product.description}"
        said = {name: self._said(name, self._catalogue.facets[name], product, text) for name in self._facets}
        named = set(self._topics.named_in(f"{text} {product.category or ''}"))
        of_topics = {name: ABOUT if name in named else NOT_NAMED for name in self._catalogue.topics}
        return {name: values[0][0] for name, values in said.items() if len(values) == 1} | of_topics

    def of_search(self, query: str) -> dict[str, float]:
        """Shares of what a search text names."""
        found = dict.fromkeys(self._topics.named_in(query), 1.0)
        for name, vocabulary in self._facets.items():
            values = vocabulary.named_in(query)
            found.update({f"{name}:{value}": 1 / len(values) for value in values})
        return found

    @cached_property
    def _topics(self) -> Vocabulary:
        return Vocabulary({name: topic.words for name, topic in self._catalogue.topics.items()})

    @cached_property
    def _facets(self) -> dict[str, Vocabulary]:
        return {
            name: Vocabulary({value: described.words for value, described in facet.values.items()})
            for name, facet in self._catalogue.facets.items()
            if facet.values
        }

    def _said(self, name: str, facet: Facet, product: Product, text: str) -> list[tuple[str, float]]:
        if facet.computed:
            return [(product.price_third, 1.0)] if product.price_third else []
        said = [product.category if facet.column == "category" else product.brand] if facet.column else []
        said += [product.attributes.get(attribute) for attribute in facet.attributes]
        given = next((value.strip() for value in said if value and value.strip()), None)
        if not facet.values:
            return [(given, 1.0)] if given else []
        vocabulary = self._facets[name]
        for source in (given or "", text):
            values = [source] if source in facet.values else vocabulary.named_in(source)
            if values:
                return [(value, 1 / len(values)) for value in values]
        return []

    def _by_picture(self, name: str, facet: Facet, product: Product) -> list[tuple[str, float]]:
        learned, captions = self._look_alikes.get(name), self._captions.get(name)
        if product.picture is None:
            return []
        if learned is not None:
            values, shares = learned.values, learned.shares(product.picture, product.category)
        elif captions is not None:
            values = tuple(facet.values)
            best = np.full(len(values), -np.inf)
            np.maximum.at(best, captions.of_value, captions.vectors @ product.picture)
            weight = np.exp((best - best.max()) / TEMPERATURE)
            shares = weight / weight.sum()
        else:
            return []
        return [(value, float(s)) for value, s in zip(values, shares, strict=True) if s >= LEAST_SHARE]

    def _looks_like(self, name: str, product: Product) -> float:
        """How likely a product is about a topic that its words do not name; less than an even chance is none."""
        if product.picture is None or not self._catalogue.topics[name].prompts:
            return 0.0
        learned = self._look_alikes.get(name)
        if learned is not None and ABOUT in learned.values:
            share = float(learned.shares(product.picture, None)[learned.values.index(ABOUT)])
        else:
            share = self._by_contrast(name, product.picture)
        return share if share >= LEAST_LIKELY else 0.0

    def _by_contrast(self, name: str, picture: Floats) -> float:
        captions = self._captions.get(name)
        if captions is None:
            return 0.0
        cosines = captions.vectors @ picture
        is_contrast = captions.of_value < 0
        margin = float(cosines[~is_contrast].max() - cosines[is_contrast].max())
        return float(1 / (1 + np.exp(-margin / TEMPERATURE)))


def captions_of(catalogue: Catalogue) -> dict[str, list[tuple[int, str]]]:
    """The captions to encode, by facet or topic: index of the value (-1: contrast) and text."""
    found = {}
    for name, facet in catalogue.facets.items():
        texts = [(i, text) for i, value in enumerate(facet.values.values()) for text in value.prompts]
        if texts:
            found[name] = texts
    for name, topic in catalogue.topics.items():
        if topic.prompts:
            found[name] = [*((0, text) for text in topic.prompts), *((-1, text) for text in topic.contrast)]
    return found
