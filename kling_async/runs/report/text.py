"""Text of a report: dates, file names and text of any origin, made safe for an HTML page."""

from __future__ import annotations

import re
import unicodedata
from datetime import datetime
from typing import Final
from urllib.parse import quote

__all__ = ["clean", "format_moment", "relative_url", "split_text"]

_UNPRINTABLE: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
"""Controls, halves of surrogate pairs and noncharacters: HTML forbids most of them, and UTF-8 cannot hold some."""
_ATTACHED: Final = frozenset({"Mn", "Mc", "Me", "Cf", "Sk"})
"""Categories of characters that belong to the one before: marks, joiners, skin tones."""


def clean(text: str) -> str:
    """Return text that an HTML file can hold, with U+FFFD in place of each character that it cannot."""
    return _UNPRINTABLE.sub("\ufffd", text.replace("\r\n", "\n"))


def split_text(text: str, most: int) -> tuple[str, str]:
    """Split text in two: the first part has about `most` characters and ends between two words, if it has any."""
    if len(text) <= most:
        return text, ""
    end = text.rfind(" ", most * 3 // 4, most) + 1 or most
    while end < len(text) and (unicodedata.category(text[end]) in _ATTACHED or text[end - 1] == "\u200d"):
        end += 1
    return text[:end], text[end:]


def format_moment(moment: datetime) -> str:
    """Write a date and a time of day, with its time zone if it has one."""
    return f"{moment.day} {moment:%B %Y, %H:%M %Z}".rstrip()


def relative_url(path: str) -> str:
    """Return the relative URL of a file. No file name can make it point to another scheme or host."""
    try:
        raw = path.encode("utf-8", "surrogateescape")  # how Python holds names that are not UTF-8
    except UnicodeEncodeError:
        raw = path.encode("utf-8", "surrogatepass")
    return quote(raw.lstrip(b"/"))
