"""Where one opinion ends and the next begins, in Chinese and English; what turns one round; which aspect is named."""

from __future__ import annotations

import pytest

from encoders.heads.clauses import clauses
from encoders.heads.judge import negated
from encoders.heads.prototypes import ASPECTS, named, phrases


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("快递很快,质量不错。就是有点贵!", ["快递很快", "质量不错", "就是有点贵"]),
        ("质量还行但是太贵", ["质量还行", "太贵"]),
        ("包装完好 颜色漂亮", ["包装完好", "颜色漂亮"]),
        ("Fits well, but the color is dull.", ["Fits well", "the color is dull"]),
        ("It is 4.5 stars from me", ["It is 4.5 stars from me"]),
        ("iPhone5,很好用", ["iPhone5", "很好用"]),
        ("!!! 5 ...", []),
        ("好", ["好"]),
    ],
)
def test_clauses(text: str, expected: list[str]) -> None:
    found = clauses(text)
    assert [clause.text for clause in found] == expected
    assert [text[clause.start : clause.end] for clause in found] == expected


def test_a_long_text_gives_so_many_clauses_and_no_more() -> None:
    assert len(clauses("好," * 1000, at_most=10)) == 10


@pytest.mark.parametrize(
    ("clause", "expected"),
    [
        ("质量不好", True),
        ("质量不错", False),
        ("没有想象中好", True),
        ("没想到这么好", False),
        ("it doesn't fit", True),
        ("not worth it", True),
        ("a notable seller", False),
    ],
)
def test_negation(clause: str, expected: bool) -> None:
    assert negated(clause) is expected


@pytest.mark.parametrize(
    ("clause", "expected"),
    [
        ("物流很快", {"delivery"}),
        ("面料舒服,价格实惠", {"quality", "price"}),
        ("The box was crushed and shipping slow", {"packaging", "delivery"}),
        ("I was outfitted well", set()),
        ("今天天气晴", set()),
    ],
)
def test_named_aspects(clause: str, expected: set[str]) -> None:
    assert named(clause) == expected


def test_made_up_phrases_are_of_every_aspect_and_both_kinds() -> None:
    made = phrases()
    assert {phrase.aspect for phrase in made} == set(ASPECTS)
    for aspect in ASPECTS:
        labels = [phrase.label for phrase in made if phrase.aspect == aspect]
        assert 0.3 < sum(labels) / len(labels) < 0.7, aspect
