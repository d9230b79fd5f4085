"""Find the status word of a body without decoding it."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["peek_status"]

_NAME_END: Final = b'status":'
"""The end of the field's name. Inside a string its quote would have a backslash before it."""
_NAME_STARTS: Final = (b'"', b'"task_')
_WORD: Final = re.compile(rb' ?"([A-Za-z_ -]{1,40})"')


def peek_status(body: bytes) -> str | None:
    """Return the word of the field "status" or "task_status" of a JSON object; None if another name ends like it."""
    at = body.find(_NAME_END)
    if at < 0 or body.find(_NAME_END, at + 1) >= 0 or body[:1] != b"{" or body[-1:] != b"}":
        return None
    match = _WORD.match(body, at + len(_NAME_END))
    return match[1].decode("ascii") if match is not None and body[:at].endswith(_NAME_STARTS) else None
