"""Foreign text made safe to show: without codes that move a cursor, ring, or turn the reading direction.

Joiners (U+200B to U+200D) stay: emoji and several scripts are written with them, and they change nothing around them.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["escaped", "one_line", "printable", "quoted"]

_CONTROL_CODES: Final = (
    r"\x00-\x1f\x7f-\x9f"  # C0, C1: ESC, the 8-bit CSI, and line ends
    r"\u2028\u2029"  # separators that end a line
    r"\u061c\u200e\u200f\u202a-\u202e\u2066-\u206f"  # marks, overrides and isolates of the reading direction
    r"\ufeff"  # the byte order mark
    r"\ud800-\udfff"  # lone surrogates, which no terminal and no file can encode
)
_CONTROL: Final = re.compile(f"[{_CONTROL_CODES}]")
_CONTROL_IN_JSON: Final = re.compile(rf"(?![\n\t])[{_CONTROL_CODES}]")


def printable(text: str) -> str:
    """Return a text with U+FFFD in place of each control or direction code; line ends and tabs stay."""
    return _CONTROL_IN_JSON.sub("\N{REPLACEMENT CHARACTER}", text)


def one_line(text: str) -> str:
    """Return a text as one printable line: a message of several could pass for lines of another program."""
    return printable(" ".join(text.split()))


def escaped(json: str) -> str:
    r"""Return equal JSON with such codes escaped as `\u....`; line ends of its layout stay."""
    # Line ends and tabs between values are layout; inside a JSON string they cannot occur.
    return _CONTROL_IN_JSON.sub(lambda code: f"\\u{ord(code[0]):04x}", json)


def quoted(url: str) -> str:
    """Return a URL with such codes percent-encoded, as they would be sent (RFC 3986, 2.1)."""
    return _CONTROL.sub(lambda code: "".join(f"%{byte:02X}" for byte in code[0].encode("utf-8", "replace")), url)
