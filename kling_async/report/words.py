"""How numbers, times and strange text are said to a reader."""

from __future__ import annotations

import re
import unicodedata
from datetime import datetime
from decimal import Decimal
from typing import Final
from urllib.parse import quote

__all__ = ["address_of", "clean", "cut", "say_duration", "say_moment", "say_money"]

_UNPRINTABLE: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
"""Controls, halves of surrogate pairs and noncharacters: HTML forbids most of them, and UTF-8 cannot hold some."""
_ATTACHED: Final = frozenset({"Mn", "Mc", "Me", "Cf", "Sk"})
"""Categories of characters that belong to the one before: marks, joiners, skin tones."""


def clean(text: str) -> str:
    """Return text that every HTML file can hold; what cannot be shown becomes the replacement character."""
    return _UNPRINTABLE.sub("\ufffd", text.replace("\r\n", "\n"))


def cut(text: str, most: int) -> tuple[str, str]:
    """Split text in two, of which the first has about so many characters: between words, if it has any."""
    if len(text) <= most:
        return text, ""
    end = text.rfind(" ", most * 3 // 4, most) + 1 or most
    while end < len(text) and (unicodedata.category(text[end]) in _ATTACHED or text[end - 1] == "\u200d"):
        end += 1
    return text[:end], text[end:]


def say_duration(seconds: float) -> str:
    """Say a duration: `4.2 s`, `41 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`."""
    if seconds < 10:
        return f"{seconds:.1f}".removesuffix(".0") + " s"
    whole = round(seconds)
    for unit, long, part, short in (("d", 86_400, "h", 3_600), ("h", 3_600, "min", 60), ("min", 60, "s", 1)):
        if whole >= long:
            rest = whole % long // short
            return f"{whole // long} {unit}" + (f" {rest} {part}" if rest else "")
    return f"{whole} s"


def say_money(dollars: Decimal) -> str:
    """Say an amount: in cents, or, below a dollar, with up to four decimals, as that is how pictures are priced."""
    if dollars >= 1:
        return f"${dollars:,.2f}"
    amount = f"{dollars:.4f}"
    return "$" + amount[:-2] + amount[-2:].rstrip("0")


def say_moment(moment: datetime) -> str:
    """Say a date and a time of day, with its zone if it has one."""
    return f"{moment.day} {moment:%B %Y, %H:%M %Z}".rstrip()


def address_of(path: str) -> str:
    """Return a relative address of a file: whatever its name is, it can lead to no other scheme and no other host."""
    try:
        raw = path.encode("utf-8", "surrogateescape")  # how Python holds names that are not UTF-8
    except UnicodeEncodeError:
        raw = path.encode("utf-8", "surrogatepass")
    return quote(raw.lstrip(b"/"))
