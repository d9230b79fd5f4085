"""Foreign text made safe to show."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kling_async.types.printable import escaped, one_line, printable, quoted

GONE = "\N{REPLACEMENT CHARACTER}"
CODES = [
    *map(
        chr, [*range(0x20), *range(0x7F, 0xA0), 0x61C, 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2066, 0x2070)]
    ),
    *("\ufeff", "\ud83d"),
]


@pytest.mark.parametrize("code", CODES, ids=ascii)
def test_codes_are_gone(code: str) -> None:
    """No control code and no code of the reading direction is left of a text, a line, JSON, or an address."""
    expected = code if code in "\n\t" else GONE
    assert f"a{expected}b" == printable(f"a{code}b")
    assert one_line(f"a{code}b") in (f"a{GONE}b", "a b")
    assert f"a{code}b" == json.loads(line := escaped(json.dumps(f"a{code}b", ensure_ascii=False)))
    assert code not in line
    assert 1 == len(line.splitlines())
    assert code not in quoted(f"https://a.test/{code}")


@pytest.mark.parametrize(
    "text", ["猫\u3000犬", "👩\u200d🚀", "می\u200cخواهم", "a\xa0b", "שלום", "e\u0301", "\U0001f1e9\U0001f1ea"]
)
def test_scripts_stay(text: str) -> None:
    """What people write in any script is shown as they wrote it."""
    assert text == printable(text)
    assert json.dumps(text, ensure_ascii=False) == escaped(json.dumps(text, ensure_ascii=False))


def test_an_address_is_quoted_as_it_is_sent() -> None:
    """Codes in a URL are percent-encoded in UTF-8; the rest of it stays."""
    assert "https://a.test/%1B%C2%9B%E2%80%AE/ä?b=%20" == quoted("https://a.test/\x1b\x9b\u202e/ä?b=%20")


@given(st.text())
def test_any_text_is_one_line(text: str) -> None:
    """Whatever it is, a line is one line, and JSON stays the same value on one line."""
    assert len(one_line(text).splitlines()) <= 1
    whole = escaped(json.dumps(text, ensure_ascii=False))
    assert text == json.loads(whole)
    assert [whole] == whole.splitlines()
