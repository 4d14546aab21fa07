from __future__ import annotations

import pytest

from pipelines.sources.scrub import scrub

GONE = [
    ("写信到 zhang.san+shop@mail.example.com.cn 谢谢", "写信到 [email] 谢谢"),
    ("联系zhangsan@qq.com吧", "联系[email]吧"),
    ("电话13812345678找我", "电话[phone]找我"),
    ("手机 138-1234-5678。", "手机 [phone]。"),
    ("+86 138 1234 5678", "[phone]"),
    ("打 010-62781234 或 (021) 6278 1234", "打 [phone] 或 [phone]"),
    ("call +44 20 7946 0958 now", "call [phone] now"),
    ("call (415) 555-2671, or 415-555-2671", "call [phone], or [phone]"),
    ("身份证11010519491231002X。", "身份证[id]。"),
    ("card 4111 1111 1111 1111 please", "card [card] please"),
    ("卡号6222021234567890128", "卡号[card]"),
    ("加我微信: shop_fan88", "加我微信: [contact]"),
    ("my wechat is cat2024lover", "my wechat is [contact]"),
    ("telegram @some_body", "telegram @some_body".replace("@some_body", "[contact]")),
]
STAYS = [
    "iPhone 15 Pro Max 256GB, 6.1 inch",
    "型号 SM-G9910，价格 ¥4999.00，满300减50",
    "order 20260131123456 arrived 2026-01-31 12:30:45",
    "订单号202601311234567890还没到",
    "EAN 4006381333931",
    "1234567890123 pieces",
    "size 100-200-300, ratio 16:9, 5G, 4K@60Hz",
    "service 400-820-8820 and 95588",
    "买了3个，一共138.12元，12345678 points",
    "+5 stars, 1+1=2, 10-20-2020",
    "用微信付款很方便 wechat pay works",
    "version 10.0.19041.1234",
    "me @ home, rated 10/10",
    "1.13812345678 kg",
]


@pytest.mark.parametrize(("text", "expected"), GONE)
def test_direct_identifiers_go(text: str, expected: str) -> None:
    assert scrub(text) == expected


@pytest.mark.parametrize("text", STAYS)
def test_numbers_of_a_shop_stay(text: str) -> None:
    assert scrub(text) == text


@pytest.mark.parametrize("text", [text for text, _ in GONE])
def test_scrubbing_twice_changes_nothing(text: str) -> None:
    assert scrub(scrub(text)) == scrub(text)
