"""Shares and figures against a plain restatement, act by act."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.tags.preferences import DAY, LEAST_USUAL, PRIOR, RECENT_DAYS, Acts, Items, figures, seen

KEYS, ITEMS, MOMENTS = 3, 5, 3
# The last two items are versions of one product.
PRODUCT = [0, 1, 2, 3, 3]
HALF_LIFE = 10.0
Act = tuple[int, int, float, int, bool, bool]

acts_drawn = st.lists(
    st.tuples(
        st.integers(0, MOMENTS - 1),
        st.integers(0, ITEMS - 1),
        st.sampled_from([1.0, 4.0, 8.0]),
        st.integers(0, 40 * DAY),
        st.booleans(),
        st.booleans(),
    ),
    max_size=25,
)
abouts_drawn = st.lists(
    st.dictionaries(st.integers(0, KEYS - 1), st.sampled_from([0.3, 0.5, 1.0])), min_size=ITEMS, max_size=ITEMS
)
usual_drawn = st.lists(st.lists(st.sampled_from([0.0, 0.1, 0.6]), min_size=KEYS, max_size=KEYS), min_size=2, max_size=2)


def as_arrays(drawn: list[Act], abouts: list[dict[int, float]]) -> tuple[Acts, Items]:
    rows = sorted(drawn, key=lambda act: act[0])
    columns: list[Any] = [
        np.array([row[i] for row in rows], dtype=t) for i, t in enumerate([int, int, float, int, bool, bool])
    ]
    counts = [len(about) for about in abouts]
    keys = [key for about in abouts for key in about]
    shares = [share for about in abouts for share in about.values()]
    starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return Acts(*columns), Items(
        starts, np.array(keys, dtype=np.int64), np.array(shares, dtype=np.float64), np.array(PRODUCT)
    )


@settings(max_examples=200, deadline=None)
@given(acts_drawn, abouts_drawn, usual_drawn)
def test_shares_figures_and_parts_are_those_of_a_plain_restatement(
    drawn: list[Act], abouts: list[dict[int, float]], usual: list[list[float]]
) -> None:
    acts, items = as_arrays(drawn, abouts)
    when = np.array([0, 1, 0])
    whole = seen(acts, items, np.array(usual), when, HALF_LIFE)
    of_keys = figures(acts, items, whole, range(KEYS))
    for moment in range(MOMENTS):
        mine = [act for act in drawn if act[0] == moment]
        weights: dict[int, float] = defaultdict(float)
        for _, item, weight, age, _, _ in mine:
            weights[item] += weight * 2 ** (-age / (HALF_LIFE * DAY))
        of_products: dict[int, float] = defaultdict(float)
        for item, weight in weights.items():
            of_products[PRODUCT[item]] += weight
        roots = {item: weight / of_products[PRODUCT[item]] ** 0.5 for item, weight in weights.items()}
        assert np.isclose(whole.total[moment], sum(weight**0.5 for weight in of_products.values()))
        for key in range(KEYS):
            parts: dict[int, float] = defaultdict(float)
            for item, root in roots.items():
                if key in abouts[item]:
                    parts[PRODUCT[item]] += root * abouts[item][key]
            expected_usual = max(usual[when[moment]][key], LEAST_USUAL)
            share = (sum(parts.values()) + PRIOR * expected_usual) / (sum(roots.values()) + PRIOR)
            about_it = [act for act in mine if abouts[act[1]].get(key, 0) >= 0.5]
            expected = {
                "share": share,
                "lift": share / expected_usual,
                "products": len({PRODUCT[act[1]] for act in about_it}),
                "actions_14d": sum(act[3] < RECENT_DAYS * DAY for act in about_it),
                "actions_before": sum(act[3] >= RECENT_DAYS * DAY for act in about_it),
                "purchases": sum(act[4] for act in about_it),
                "searches": sum(act[5] for act in about_it),
            }
            for figure, value in expected.items():
                assert np.isclose(of_keys[key, figure][moment], value), figure
            [place] = whole.place(np.array([moment]), key)
            assert (place >= 0) == bool(parts)
            if parts:
                rows = slice(whole.part_starts[place], whole.part_starts[place + 1])
                found = dict(zip(whole.part_product[rows].tolist(), whole.part_weight[rows].tolist(), strict=True))
                assert found.keys() == parts.keys()
                assert all(np.isclose(found[product], parts[product]) for product in parts)
                assert list(whole.part_weight[rows]) == sorted(whole.part_weight[rows], reverse=True)


def test_ten_looks_at_one_thing_are_not_ten_things() -> None:
    often, _ = as_arrays([(0, 0, 1.0, 0, False, False)] * 10, [{0: 1.0}, {}, {}, {}, {}])
    many, items = as_arrays([(0, i, 1.0, 0, False, False) for i in range(4)], [{0: 1.0}] * 5)
    usual, when = np.array([[0.1, 0.1, 0.1]]), np.zeros(1, dtype=np.int64)
    once = seen(often, items, usual, when, HALF_LIFE)
    assert once.share[0] < seen(many, items, usual, when, HALF_LIFE).share[0]
