"""Pairs that the links know, against the true ones."""

from typing import Any

import pytest

from pipelines.evaluation.measures.account_pairs import ACCOUNT_PAIRS
from pipelines.evaluation.measures.device_pairs import DEVICE_PAIRS
from pipelines.tables.sources import IDENTITIES
from tests.evaluation.planted import Planted


def _true(identifier: str, user: str | None, human: int, kind: str = "device", **facts: bool) -> dict[str, Any]:
    standing = {"belongs": True, "declared": True}
    return {"identifier_type": kind, "identifier": identifier, "user_id": user, "human": human} | standing | facts


def _link(kind: str, identifier: str, user: str) -> dict[str, str]:
    return {"identifier_type": kind, "identifier": f"{kind}:{identifier}", "user_id": user}


def test_devices_against_the_true_pairs(planted: Planted) -> None:
    planted.true(
        "identities",
        _true("d1", "u1", 0),
        _true("d2", "u1", 0, declared=False),
        _true("d3", None, 7, declared=False),
        _true("terminal", "u1", 0, belongs=False),
    )
    links = [_link("device", "d1", "u1"), _link("device", "terminal", "u1"), _link("phone_hash", "f1", "u1")]
    planted.publish(IDENTITIES, links)
    assert planted.values(DEVICE_PAIRS) == {
        ("device and account", "precision"): 0.5,
        ("device and account", "recall"): 0.5,
        ("of those the shop was told", "recall"): 1.0,
    }


def test_accounts_that_share_a_number(planted: Planted) -> None:
    planted.true("users", *({"user_id": f"u{n}", "human": human} for n, human in enumerate([0, 0, 2, 3, 3])))
    planted.true("identities", *(_true(f"d{n}", f"u{n}", n) for n in range(5)))
    links = [_link("phone_hash", "f0", "u0"), _link("phone_hash", "f0", "u1"), _link("phone_hash", "f0", "u2")]
    planted.publish(IDENTITIES, links)
    found = planted.values(ACCOUNT_PAIRS)
    assert found["two accounts", "precision"] == pytest.approx(1 / 3)
    assert found["two accounts", "recall"] == 0.5
