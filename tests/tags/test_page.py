"""A user's page: products with their pictures, nothing from outside, nothing that a title can run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from PIL import Image

from pipelines.tables.sources import MEDIA, PRODUCT_CONTENTS, PRODUCTS
from pipelines.tags.catalogue import Tag
from pipelines.tags.explain import Explanation, Reason
from pipelines.tags.page import profile_page
from tests.evaluation.planted import END, RELEASE, START, Planted
from tests.tags.test_catalogue import catalogue

ACTS = {"weight": 0.4, "acts": {"view": 2, "purchase": 1}, "last": "2026-06-29"}
LIKES = {
    "share": 0.5, "usual": 0.1,
    "for": [{"id": "p1", **ACTS}, {"id": "红色 <b>连衣裙", **ACTS}], "against": [{"id": "p2", **ACTS}],
}  # fmt: skip
OFTEN = {"for": [{"feature": "user_value.orders_90d", "value": 5.0, "at_least": 3.0}], "against": []}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Planted:
    folder = tmp_path_factory.mktemp("page")
    made = Planted(folder)
    Image.new("RGB", (400, 300), "red").save(folder / "red.png")
    version = {"valid_from": START, "available_at": START}
    titles = {"p1": "old name", "p2": '<script>alert("x")</script>', "p3": "never cited"}
    rows = [version | {"product_id": key, "title": title} for key, title in titles.items()]
    made.publish(PRODUCTS, [*rows, version | {"valid_from": END, "product_id": "p1", "title": "红裙 & dress"}])
    content = {"valid_from": START, "modality": "product_image"}
    named = {"p1": ["a" * 64], "p2": ["b" * 64]}
    made.publish(PRODUCT_CONTENTS, [content | {"product_id": p, "members": m} for p, m in named.items()])
    places = {"a" * 64: folder / "red.png", "b" * 64: folder / "gone.png"}
    made.publish(MEDIA, [{"content_hash": c, "media_path": str(path)} for c, path in places.items()])
    return made


def explanation() -> Explanation:
    tags: dict[str, Tag] = {tag.id: tag for tag in catalogue(
        {"id": "likes.colour", "facet": "colour", "group": "interests"},
        {"id": "buys.often", "group": "value", "all_of": [{"feature": "user_value.orders_90d", "at_least": 3}]},
        facets={"colour": {"attributes": ["colour"]}},
    ).tags}  # fmt: skip
    reasons = (
        Reason("buys.often", None, tags["buys.often"], {}, 0.9, 0, OFTEN),
        Reason("likes.colour:red", "red", tags["likes.colour"], {"zh": "红色", "en": "red"}, 0.7, 12, LIKES),
    )
    return Explanation("u<1>", "personalisation", RELEASE.name, "1-00000000", END, reasons)


def test_the_page_shows_the_products_that_carry_a_tag(shop: Planted) -> None:
    page = profile_page(shop.settings, explanation(), "en")
    assert len(re.findall(r'<img src="data:image/jpeg;base64,[\w+/=]+"', page)) == 1
    assert "红裙 &amp; dress" in page
    assert "old name" not in page
    assert "never cited" not in page
    # What cannot be read any more is told by its title, what was searched for by its words.
    assert "&lt;script&gt;" in page
    assert "红色 &lt;b&gt;连衣裙" in page
    assert "<script" not in page
    assert "u&lt;1&gt;" in page
    assert "http" not in page
    assert page.index("Interests") < page.index("Value")
    assert 'title="orders in the 90 days before event_timestamp"' in page


def test_in_chinese_it_is_chinese(shop: Planted) -> None:
    page = profile_page(shop.settings, explanation(), "zh")
    assert '<div lang="zh">' in page
    for said in ("名: 红色", "兴趣", "价值", "依据", "反证", "2 次浏览、1 次购买", "占比 50%"):
        assert said in page, said


def test_somebody_without_tags_has_a_page_that_says_so(shop: Planted, tmp_path: Path) -> None:
    empty = Explanation("u2", "marketing", RELEASE.name, "1-00000000", None, ())
    assert "没有标签" in profile_page(shop.settings, empty, "zh")
