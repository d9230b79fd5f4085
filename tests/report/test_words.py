"""How numbers, times and strange text are said."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kling_async.report.words import address_of, clean, cut, say_duration, say_moment, say_money


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        *(
            (0, "0 s"),
            (4.21, "4.2 s"),
            (5.0, "5 s"),
            (41.4, "41 s"),
            (59.6, "1 min"),
            (60, "1 min"),
            (200, "3 min 20 s"),
        ),
        *((3600, "1 h"), (7500, "2 h 5 min"), (86_400, "1 d"), (273_600, "3 d 4 h")),
    ],
)
def test_durations(seconds: float, said: str) -> None:
    """A duration is said in its two largest units, and a part that is nothing is left out."""
    assert said == say_duration(seconds)


@pytest.mark.parametrize(
    ("dollars", "said"),
    [
        ("0", "$0.00"),
        ("0.028", "$0.028"),
        ("0.0005", "$0.0005"),
        ("0.42", "$0.42"),
        ("36.176", "$36.18"),
        ("1234.5", "$1,234.50"),
    ],
)
def test_money(dollars: str, said: str) -> None:
    """Small amounts keep the decimals that tell them apart; large ones are said in cents."""
    assert said == say_money(Decimal(dollars))


def test_moments() -> None:
    """A moment is said in its own zone."""
    moment = datetime(2026, 11, 7, 9, 5, tzinfo=UTC)
    assert "7 November 2026, 09:05 UTC" == say_moment(moment)
    assert "7 November 2026, 11:05 UTC+02:00" == say_moment(moment.astimezone(timezone(timedelta(hours=2))))


@pytest.mark.parametrize(
    ("path", "address"),
    [
        ("media/fox-0.png", "media/fox-0.png"),
        ("media/a b#1?.png", "media/a%20b%231%3F.png"),
        ("media/狐.png", "media/%E7%8B%90.png"),
        ("media/100%.png", "media/100%25.png"),
        ("javascript:alert(1)", "javascript%3Aalert%281%29"),
        ("https://example.com/x.png", "https%3A//example.com/x.png"),
        ("//example.com/x.png", "example.com/x.png"),
        ("\\\\example.com\\x.png", "%5C%5Cexample.com%5Cx.png"),
        ("media/\udcff.png", "media/%FF.png"),
        ("media/\ud800.png", "media/%ED%A0%80.png"),
        ('x" onerror="alert(1)', "x%22%20onerror%3D%22alert%281%29"),
    ],
)
def test_addresses(path: str, address: str) -> None:
    """The address of a file is relative, whatever the name of the file says."""
    assert address == address_of(path)


@given(st.text(st.characters()))
def test_text_can_be_written(text: str) -> None:
    """Cleaned text is UTF-8 and holds nothing that HTML forbids."""
    cleaned = clean(text + "\x00\ud800\ufffe\x9f")
    assert cleaned.encode().decode() == cleaned
    assert not set(cleaned) & {"\x00", "\x08", "\x7f", "\x9f", "\ufffe"}


def test_whitespace_and_line_separators_stay() -> None:
    """Cleaning leaves alone what is only unusual."""
    assert "a\tb\nc\u2028d\u202e" == clean("a\tb\r\nc\u2028d\u202e")


@given(st.text(), st.integers(1, 50))
def test_cutting_loses_nothing(text: str, most: int) -> None:
    """Both parts together are the text, and the second one is empty if it was short."""
    first, rest = cut(text, most)
    assert first + rest == text
    assert rest == "" or len(text) > most


@pytest.mark.parametrize(
    ("text", "most", "first"),
    [
        ("one two three", 9, "one two "),
        ("赤い狐が雪の中を歩く", 4, "赤い狐が"),
        ("abcde\u0301f", 5, "abcde\u0301"),
        ("abcd👩\u200d🚀 to the moon", 5, "abcd👩\u200d🚀"),
    ],
)
def test_cutting_keeps_together_what_belongs_together(text: str, most: int, first: str) -> None:
    """Words are kept whole, and so are letters with their marks and joined emoji."""
    assert first == cut(text, most)[0]
