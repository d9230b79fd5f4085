"""The fields that providers write in several ways: ids, dates, durations, outputs, errors."""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NewType, cast

from attrs import frozen
from cattrs import Converter

from ..media import SNIFFED_BYTES, sniff
from ..prediction import Json, Output, OutputKind
from ..printable import one_line, quoted

__all__ = [
    "CONTENT_WORDS",
    "Millis",
    "Outputs",
    "Problem",
    "Unsafe",
    "When",
    "as_list",
    "as_object",
    "code_text",
    "message_text",
    "output",
    "read_date",
    "read_duration",
    "read_outputs",
    "read_problem",
    "register_fields",
    "snake_names",
    "valid_id",
]

Outputs = NewType("Outputs", tuple[str, ...])
"""What was generated, from null, one text, a list of texts, or a list of objects that hold one."""
When = NewType("When", datetime)
Millis = NewType("Millis", float)
Unsafe = NewType("Unsafe", bool)
"""Whether any output is marked as unsafe, from a list of truths or one."""


@frozen
class Problem:
    """A provider's code and words for what went wrong."""

    code: str | None = None
    message: str | None = None


CONTENT_WORDS = frozenset({"content_policy_violation", "content_policy", "content_filter", "moderation_blocked"})
"""Types of error that gateways of this kind use for a refusal by the content policy; inferred, none is documented."""

_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")


def valid_id(value: object) -> str | None:
    """Return an id that may stand in an address, else None: null, numbers, slashes and long texts are none."""
    return value if isinstance(value, str) and _ID.fullmatch(value) and value.strip(".") else None


_DATE = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:[.,](\d{1,9})\d*)?\s*(Z|z|[+-]\d\d:?\d\d)?",
)


def read_date(value: object) -> datetime | None:
    """Read a date and time with any number of fraction digits; one without a zone is UTC. None if it is none."""
    match = _DATE.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        return None
    day, clock, fraction, zone = match.groups()
    micro = ((fraction or "") + "000000")[:6]
    offset = "+00:00" if zone in (None, "Z", "z") else zone
    try:
        return datetime.fromisoformat(f"{day}T{clock}.{micro}{offset}").astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def read_duration(value: object) -> float | None:
    """Read a duration in milliseconds as seconds; None if it is none, or zero, which stands for unknown."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    seconds = float(value) / 1000 if abs(value) < 1e15 else math.inf
    return seconds if 0 < seconds < math.inf else None


def code_text(value: object) -> str | None:
    """Return a code that is a whole number or a text as text; None for a blank, and for what is neither, as 1e999."""
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        return None
    return one_line(str(value))[:64] or None


def message_text(value: object) -> str | None:
    """Return a message as one printable line; None if it is no text."""
    return one_line(value) if isinstance(value, str) else None


def read_problem(value: object) -> Problem | None:
    """Read an error that is null, blank, a text, or an object with a message and a code or type."""
    if isinstance(value, str):
        return Problem(message=one_line(value)) if value.strip() else None
    body = as_object(value)
    if not body:
        return None
    code, word = code_text(body.get("code")), code_text(body.get("type"))
    # Older GPTProto pages print the number as the text in `type`, and have no `code`. Elsewhere the code may only
    # repeat the HTTP status, and the type says more.
    if code is None or word in CONTENT_WORDS:
        code = word or code
    return Problem(code=code, message=message_text(body.get("message")))


_IN_OBJECT = ("outputs", "output", "result", "url", "image_url", "video_url", "image_urls", "images", "videos")
"""Names under which clients of either service look for addresses, likeliest first. Names of inputs are not among them,
since some replies repeat the input."""


def read_outputs(value: object, *, depth: int = 0) -> Outputs:
    """Read outputs that are null, a text, a list, or an object that holds them; anything else is passed over."""
    if isinstance(value, str):
        return Outputs((value,) if value.strip() else ())
    if depth >= _DEPTH:
        return Outputs(())
    listed, body = as_list(value), as_object(value)
    if listed:
        return Outputs(tuple(text for one in listed for text in read_outputs(one, depth=depth + 1)))
    found = (read_outputs(body[name], depth=depth + 1) for name in _IN_OBJECT if name in body)
    return next((one for one in found if one), Outputs(()))


_DEPTH = 4


def _read_unsafe(value: object) -> Unsafe | None:
    truths = [mark for mark in as_list(value) or [value] if isinstance(mark, bool)]
    return Unsafe(any(truths)) if truths else None


def register_fields(made: Converter) -> Converter:
    """Teach a converter the fields above. None of them can fail: what cannot be read counts as left out."""
    made.register_structure_hook(Outputs, lambda value, _: read_outputs(value))
    made.register_structure_hook(When | None, lambda value, _: read_date(value))
    made.register_structure_hook(Millis | None, lambda value, _: read_duration(value))
    made.register_structure_hook(Unsafe | None, lambda value, _: _read_unsafe(value))
    made.register_structure_hook(Problem | None, lambda value, _: read_problem(value))
    return made


def output(value: str, *, kind: OutputKind) -> Output | None:
    """Make an output of an address, a data URI, or bare base64; None if it is none of these."""
    text = value.strip()
    if re.match(r"https?://[^\s/]", text):
        return Output(url=quoted(text), kind=kind)
    if text.startswith("data:"):
        mime = text[5:].partition(";")[0].partition("/")[0]
        return Output(url=text, kind=OutputKind(mime) if mime in tuple(OutputKind) else kind)
    try:
        head = base64.b64decode(text[: 4 * SNIFFED_BYTES], validate=True)
    except ValueError:
        head = b""
    media = sniff(head)
    return None if media is None else Output(url=f"data:{media.mime};base64,{text}", kind=media.kind)


_HUMP = re.compile(r"(?<=[a-z0-9])([A-Z])")


def _snake(name: str) -> str:
    return _HUMP.sub(r"_\1", name).lower()


def snake_names(value: Mapping[str, Json]) -> dict[str, Json]:
    """Return an object with its names in snake_case, since the same record comes in both spellings."""
    return {name if name.islower() else _snake(name): one for name, one in value.items()}


def as_object(value: object) -> Mapping[str, Any]:
    """Return a JSON object, or an empty one in place of anything else."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def as_list(value: object) -> list[object]:
    """Return a JSON list, or an empty one in place of anything else."""
    return cast("list[object]", value) if isinstance(value, list) else []
