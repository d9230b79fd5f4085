"""Dates, file names and text of any origin in a report."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kling_async.runs.report.text import clean, format_moment, relative_url, split_text


def test_moments() -> None:
    """A moment is written in its own time zone."""
    moment = datetime(2026, 11, 7, 9, 5, tzinfo=UTC)
    assert "7 November 2026, 09:05 UTC" == format_moment(moment)
    assert "7 November 2026, 11:05 UTC+02:00" == format_moment(moment.astimezone(timezone(timedelta(hours=2))))


@pytest.mark.parametrize(
    ("path", "url"),
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
def test_relative_urls(path: str, url: str) -> None:
    """The URL of a file is relative, whatever its name is."""
    assert url == relative_url(path)


@given(st.text(st.characters()))
def test_text_can_be_written(text: str) -> None:
    """Cleaned text is UTF-8 and has nothing that HTML forbids."""
    cleaned = clean(text + "\x00\ud800\ufffe\x9f")
    assert cleaned.encode().decode() == cleaned
    assert not set(cleaned) & {"\x00", "\x08", "\x7f", "\x9f", "\ufffe"}


def test_whitespace_and_line_separators_stay() -> None:
    """Cleaning keeps unusual characters that HTML allows."""
    assert "a\tb\nc\u2028d\u202e" == clean("a\tb\r\nc\u2028d\u202e")


@given(st.text(), st.integers(1, 50))
def test_cutting_loses_nothing(text: str, most: int) -> None:
    """Both parts together are the text, and the second one is empty if it was short."""
    first, rest = split_text(text, most)
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
    assert first == split_text(text, most)[0]
