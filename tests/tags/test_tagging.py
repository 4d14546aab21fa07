"""Tags of whole users, without Spark: which acts count, what is said, and why."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pipelines.tags.catalogue import Catalogue
from pipelines.tags.confidence import Curve
from pipelines.tags.definition import Definition
from pipelines.tags.preferences import DAY
from pipelines.tags.tagging import Tagger
from tests.tags.test_catalogue import catalogue

KEYS = ("brand:Kivi", "brand:Mosso", "gifts")
USUAL = np.array([[0.1, 0.1, 0.05]])
NOW = 100 * DAY
SURE = Curve(intercept=-2.0, score=3.0)


@pytest.fixture(scope="module")
def known() -> Catalogue:
    return catalogue(
        {"id": "likes.brand", "facet": "brand"},
        {"id": "needs.gifts", "topic": "gifts", "purposes": ["marketing"]},
        {"id": "buys.often", "all_of": [{"feature": "user_value.orders_90d", "at_least": 3, "scale": 1}]},
        {"id": "seen.kivi", "all_of": [{"feature": "seen.brand:Kivi.purchases", "at_least": 1, "scale": 0.5}]},
        {"id": "quiet", "all_of": [{"feature": "user_activity.last_event_at", "at_least": 30}]},
        facets={"brand": {"column": "brand"}},
        topics={"gifts": {"name": {"zh": "礼", "en": "gifts"}, "words": ["gift"]}},
    )


def act(item: str, *keys: str, **values: Any) -> dict[str, Any]:
    standing = {
        "user_id": "u1", "version": 0, "event_type": "view", "at": NOW - DAY, "available": NOW - DAY,
        "held_from": -1_000_000, "held_until": 10_000_000, "allowed_purposes": ["marketing", "personalisation"],
    }  # fmt: skip
    return standing | {"item": item, "keys": list(keys), "shares": [1.0] * len(keys)} | values


ACTS = pa.schema([
    ("user_id", pa.string()), ("item", pa.string()), ("version", pa.int64()), ("event_type", pa.string()),
    ("at", pa.int64()), ("available", pa.int64()), ("held_from", pa.int32()), ("held_until", pa.int32()),
    ("allowed_purposes", pa.list_(pa.string())), ("keys", pa.list_(pa.string())), ("shares", pa.list_(pa.float32())),
])  # fmt: skip


def tags(known: Catalogue, *acts: dict[str, Any], **moment: Any) -> dict[str, tuple[float, dict[str, Any]]]:
    """Confidence and evidence by tag, of one moment of user u1."""
    values = {"user_id": "u1", "purpose": "personalisation", "at": NOW, "known_at": NOW}
    values |= {"user_value.orders_90d": None, "user_activity.last_event_at": None} | moment
    asked = pa.table({name: pa.array([value], pa.float64() if "." in name else None) for name, value in values.items()})
    definition = Definition(known, {"likes.brand": SURE, "needs.gifts": SURE})
    tagger = Tagger(definition, KEYS, np.array([NOW]), USUAL)
    [found] = tagger.tagged(asked, pa.Table.from_pylist(list(acts), ACTS))
    row = found.to_pylist()[0]
    said = zip(row["tags"], row["confidences"], row["evidence"], strict=True)
    return {tag: (confidence, json.loads(evidence)) for tag, confidence, evidence in said}


def kivi(count: int = 6, **values: Any) -> list[dict[str, Any]]:
    return [act(f"p{number}", "brand:Kivi", **values) for number in range(count)]


def test_who_looks_at_much_of_a_brand_likes_it_and_the_products_say_why(known: Catalogue) -> None:
    bought = act("p0", "brand:Kivi", event_type="purchase", at=NOW - 2 * DAY)
    found = tags(known, bought, *kivi(), act("q", "brand:Mosso"))
    assert set(found) == {"likes.brand:Kivi", "seen.kivi"}
    confidence, why = found["likes.brand:Kivi"]
    assert confidence > 0.9
    assert why["share"] > 5 * why["usual"] == pytest.approx(0.5)
    assert [item["id"] for item in why["for"]] == ["p0", "p1", "p2"]
    assert why["for"][0]["acts"] == {"purchase": 1, "view": 1}
    assert why["for"][0]["last"] == "1970-04-10"
    assert [item["id"] for item in why["against"]] == ["q"]


def test_a_product_whose_price_was_changed_is_still_one(known: Catalogue) -> None:
    once = tags(known, *kivi(3), act("q", "brand:Mosso"))
    # The same acts, on two versions of a product each.
    acts = [act(f"p{number}", "brand:Kivi", version=version) for number in range(3) for version in (0, 5)]
    twice = tags(known, *acts, act("q", "brand:Mosso"))
    assert [item["id"] for item in twice["likes.brand:Kivi"][1]["for"]] == ["p0", "p1", "p2"]
    assert twice["likes.brand:Kivi"][1]["for"][0]["acts"] == {"view": 2}
    looked_twice = tags(known, *kivi(3), *kivi(3), act("q", "brand:Mosso"))
    assert twice == looked_twice
    assert once["likes.brand:Kivi"][0] < twice["likes.brand:Kivi"][0]


def test_without_the_evidence_the_tag_goes(known: Catalogue) -> None:
    whole = tags(known, *kivi(), act("q", "brand:Mosso"))
    left = tags(known, *kivi()[3:], act("q", "brand:Mosso"))
    gone = tags(known, act("q", "brand:Mosso"))
    assert whole["likes.brand:Kivi"][0] > left["likes.brand:Kivi"][0]
    assert "likes.brand:Kivi" not in gone


@pytest.mark.parametrize(
    "values",
    [
        {"at": NOW},
        {"at": NOW + DAY},
        {"available": NOW + 1},
        {"held_from": 101},
        {"held_until": 100},
        {"allowed_purposes": ["marketing"]},
        {"user_id": "u2"},
    ],
)
def test_what_was_not_there_known_linked_or_allowed_does_not_count(known: Catalogue, values: dict[str, Any]) -> None:
    assert tags(known, *kivi(**values)) == {}


def test_a_tag_is_said_for_its_purposes_alone(known: Catalogue) -> None:
    gifts = [act(f"p{number}", "gifts") for number in range(8)]
    assert tags(known, *gifts) == {}
    assert set(tags(known, *gifts, purpose="marketing")) == {"needs.gifts"}


def test_rules_say_which_feature_met_which_bound(known: Catalogue) -> None:
    found = tags(known, **{"user_value.orders_90d": 5.0, "user_activity.last_event_at": float(NOW - 50 * DAY)})
    assert set(found) == {"buys.often", "quiet"}
    assert found["buys.often"][1]["for"] == [{"feature": "user_value.orders_90d", "value": 5.0, "at_least": 3.0}]
    assert found["quiet"][1]["for"][0] == {
        "feature": "user_activity.last_event_at", "value": "1970-02-20", "at_least": 30.0,
    }  # fmt: skip


def test_many_users_are_tagged_as_each_alone(known: Catalogue) -> None:
    random = np.random.default_rng(5)
    users = [f"u{number}" for number in range(30)]
    acts = [
        act(f"p{number}", KEYS[(number + version) % 3], user_id=users[random.integers(30)], version=int(version),
            at=int(NOW - random.integers(1, 90 * DAY)))
        for number, version in zip(random.integers(0, 9, 400), random.integers(0, 2, 400), strict=True)
    ]  # fmt: skip
    orders = random.integers(0, 6, 30).astype(float)
    asked = pa.table({
        "user_id": users, "purpose": ["personalisation"] * 30, "at": [NOW] * 30, "known_at": [NOW] * 30,
        "user_value.orders_90d": orders,
        "user_activity.last_event_at": pa.nulls(30, pa.float64()),
    })  # fmt: skip
    tagger = Tagger(Definition(known, {}), KEYS, np.array([NOW]), USUAL)
    whole = pa.concat_tables(tagger.tagged(asked, pa.Table.from_pylist(acts, ACTS))).to_pylist()
    assert sum(len(row["tags"]) for row in whole) > 20
    for number, row in enumerate(whole):
        mine = pa.Table.from_pylist([one for one in acts if one["user_id"] == users[number]], ACTS)
        [alone] = tagger.tagged(asked.slice(number, 1), mine)
        assert alone.to_pylist() == [row]
