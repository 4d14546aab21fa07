import pytest

from encoders.errors import ContentError
from encoders.text import normalise_text


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("Great&nbsp;shoes!<br /><br />Fit  well.", "Great shoes! Fit well."),
        ("Ben &amp; Jerry&#39;s", "Ben & Jerry's"),
        ("&lt;br /&gt;good", "good"),
        ("ＡＢＣ　１２３ ﬁne", "ABC 123 fine"),
        ("a\x00b\u200bc\ufeffd\te\r\nf", "abcd e f"),
        ("5 < 6 and 7 > 3", "5 < 6 and 7 > 3"),
        ("I <3 it", "I <3 it"),
        ("<script>alert('x')</script>好评", "好评"),
        ("质量很好 👍", "质量很好 👍"),
        ("👩‍🍳", "👩‍🍳"),
        ("<p class='a'>很<b>好</b></p>", "很 好"),
    ],
)
def test_normalise(raw: str, expected: str) -> None:
    assert normalise_text(raw) == expected
    assert normalise_text(expected) == expected


@pytest.mark.parametrize("raw", ["", "   ", "<br />", "&nbsp;", "\u200b\x00", "<p></p>"])
def test_nothing_left(raw: str) -> None:
    with pytest.raises(ContentError) as caught:
        normalise_text(raw)
    assert caught.value.reason == "no_text"
