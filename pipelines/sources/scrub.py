"""Direct identifiers out of free text. Pure Python on strings; `texts.py` runs it over Arrow batches.

A person's name cannot be found by a pattern and stays. What looks like a product number, a price, a size, a date or
an order of magnitude must stay too, so each pattern asks for the shape of an identifier, not for digits alone:

| name | what | stays |
|---|---|---|
| e-mail | local@domain.tld | "@" alone |
| id_card | 18 characters: region, birth date from 1800 on, serial, check character | other 18-digit numbers |
| bank_card | 13–19 digits, plain or in groups of 4, that pass the Luhn check | EAN-13 and order numbers that fail it |
| mobile_cn | 1[3-9] and nine digits, also +86/0086 in front, groups of 3-4-4 | 11 digits with another start |
| phone_intl | "+", country code, 8–15 digits in all, with spaces, dots, dashes, brackets | "+5 points", "1+1" |
| phone_cn | area code 0xx(x)-, 7 or 8 digits; 400/800 service numbers stay the shop's | dates, sizes |
| phone_us | (ddd) ddd-dddd, ddd-ddd-dddd, ddd.ddd.dddd | 3-digit groups of other lengths |
| contact | an account named after 微信/wechat/vx/qq/telegram/whatsapp/line id | the app's name alone |

EAN-13 barcodes have their own check digit; a number of 13 digits that is a valid EAN is left alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable

_NO_DIGIT_BEFORE = r"(?<![\d])(?<!\d[-.,])"
_NO_DIGIT_AFTER = r"(?![\d])(?![-.,]\d)"

_EMAIL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._%+-]*@(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,24}")
_ID_CARD = re.compile(
    r"(?<!\d)[1-9]\d{5}(?:18|19|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d{3}[\dXx](?![\dA-Za-z])"
)
_CARD = re.compile(_NO_DIGIT_BEFORE + r"(?:\d{13,19}|\d{4}(?:[ -]\d{4}){2,3}(?:[ -]\d{1,7})?)" + _NO_DIGIT_AFTER)
_MOBILE_CN = re.compile(r"(?<![\d.])(?:(?:\+|00)?86[ -]?)?1[3-9]\d[ -]?\d{4}[ -]?\d{4}" + _NO_DIGIT_AFTER)
_PHONE_INTL = re.compile(r"(?<![\w+])(?:\+|00(?=[1-9]\d{0,2}[ -]))[1-9](?:[ .()-]{0,2}\d){7,14}(?!\d)")
_PHONE_CN = re.compile(r"(?<![\d-])(?:\(0\d{2,3}\)|0\d{2,3}-)[ ]?\d{3,4}[ -]?\d{4}" + _NO_DIGIT_AFTER)
_PHONE_US = re.compile(
    r"(?<![\d.-])(?:\(\d{3}\) ?\d{3}[-. ]\d{4}|(?!400|800)\d{3}([-. ])\d{3}\1\d{4})" + _NO_DIGIT_AFTER
)
_CONTACT = re.compile(
    r"(?P<app>(?:微信|薇信|wechat|weixin|whatsapp|telegram|line id|vx|qq)(?:号码?|群| ?id)?\s*(?:[:：是为]|is|=)?\s*)"
    r"(?P<account>@?(?=[A-Za-z0-9_-]*\d)[A-Za-z0-9][A-Za-z0-9_-]{4,19}|@[A-Za-z0-9_-]{4,19})",
    re.IGNORECASE,
)


def scrub(text: str) -> str:
    """`text` (normalised: NFKC) with each direct identifier replaced by a word in square brackets.

    Scrubbing twice changes nothing more.
    """
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text


def _is_luhn(digits: str) -> bool:
    doubled = [int(d) * 2 if i % 2 else int(d) for i, d in enumerate(reversed(digits))]
    return sum(d - 9 if d > 9 else d for d in doubled) % 10 == 0


def _is_ean13(digits: str) -> bool:
    weighted = sum(int(d) * (3 if i % 2 else 1) for i, d in enumerate(digits))
    return len(digits) == 13 and weighted % 10 == 0


def _card(match: re.Match[str]) -> str:
    digits = re.sub(r"\D", "", match.group())
    is_card = 13 <= len(digits) <= 19 and _is_luhn(digits) and not _is_ean13(digits)
    return "[card]" if is_card else match.group()


_Replacement = str | Callable[[re.Match[str]], str]
# In this order: a longer identifier before one whose pattern could match a part of it.
_PATTERNS: tuple[tuple[re.Pattern[str], _Replacement], ...] = (
    (_EMAIL, "[email]"),
    (_ID_CARD, "[id]"),
    (_CARD, _card),
    (_MOBILE_CN, "[phone]"),
    (_PHONE_INTL, "[phone]"),
    (_PHONE_CN, "[phone]"),
    (_PHONE_US, "[phone]"),
    (_CONTACT, lambda m: f"{m['app']}[contact]"),
)
