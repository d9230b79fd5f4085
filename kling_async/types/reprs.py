"""Short reprs of values: what is not at its default, and long texts cut.

A list of a hundred jobs, or a failed assertion, then shows what differs. The whole text is in the attribute.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, cast

from attrs import AttrsInstance, fields

__all__ = ["clip", "short_repr", "show_json"]

_MAX_TEXT: Final = 60
"""Characters of a text that are shown."""
_MAX_MAPPING: Final = 100
"""Characters of the repr of a mapping that are shown."""


def short_repr(value: AttrsInstance) -> str:
    """Return the repr of an attrs value without the fields that are at their default, or empty."""
    shown: list[str] = []
    for one in fields(type(value)):
        known: object = getattr(value, one.name)
        if one.repr is False or _is_plain(known, one.default):
            continue
        text = str(one.repr(known)) if callable(one.repr) else clip(known)
        shown.append(f"{one.name}={text}" if one.kw_only else text)
    return f"{type(value).__name__}({', '.join(shown)})"


def _is_plain(known: object, default: object) -> bool:
    # A value that failed its checks is shown in a traceback, so what it holds may be anything.
    is_default = known is default or (type(known) is type(default) and known == default)
    return is_default or (isinstance(known, (tuple, Mapping)) and not known)


def clip(value: object) -> str:
    """Return the repr of a value; a long text or mapping is cut, and ends with an ellipsis."""
    if isinstance(value, str):
        return repr(value if len(value) <= _MAX_TEXT else value[: _MAX_TEXT - 3] + "...")
    text = repr(value)
    return text if not isinstance(value, Mapping) or len(text) <= _MAX_MAPPING else text[: _MAX_MAPPING - 4] + "...}"


def show_json(values: object) -> str:
    """Return the repr of a JSON object with the numbers in it; a text may be a URL with a token, so it is left out."""
    if not isinstance(values, Mapping):
        return clip(values)
    items = cast("Mapping[object, object]", values).items()
    shown = (f"{clip(name)}: {one if isinstance(one, (int, float, type(None))) else '...'}" for name, one in items)
    return f"{{{', '.join(shown)}}}"
