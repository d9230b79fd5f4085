"""Lenient parsers of fields that providers write in several ways: ids, dates, durations, outputs, errors."""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NewType, cast

from attrs import frozen
from cattrs import Converter

from ...types.media import SNIFF_LENGTH, sniff
from ...types.prediction import Json, Output, OutputKind, RefusedPart
from ...types.printable import one_line, quoted

__all__ = [
    "CONTENT_REJECTED_CODES",
    "ErrorDetail",
    "Milliseconds",
    "NsfwFlag",
    "Outputs",
    "Timestamp",
    "as_list",
    "as_object",
    "parse_code",
    "parse_date",
    "parse_duration",
    "parse_error",
    "parse_id",
    "parse_message",
    "parse_milliseconds",
    "parse_output",
    "parse_outputs",
    "parse_seconds",
    "register_fields",
    "snake_case_keys",
]

Outputs = NewType("Outputs", tuple[str, ...])
"""Outputs, from null, one string, a list of strings, or a list of objects that hold one."""
Timestamp = NewType("Timestamp", datetime)
Milliseconds = NewType("Milliseconds", float)
NsfwFlag = NewType("NsfwFlag", bool)
"""Whether any output is marked as unsafe, from one boolean or a list of them."""


@frozen
class ErrorDetail:
    """The code and the message of a provider's error, and what it says was refused."""

    code: str | None = None
    message: str | None = None
    part: RefusedPart | None = None


CONTENT_REJECTED_CODES = frozenset(
    {"content_policy_violation", "content_policy", "content_filter", "moderation_blocked"}
)
"""Error types that APIs with OpenAI's error format use for the content policy; no provider here documents them."""

_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")


def parse_id(value: object) -> str | None:
    """Return an id that is safe in a URL path, else None: null, numbers, slashes and long strings are none."""
    return value if isinstance(value, str) and _ID.fullmatch(value) and value.strip(".") else None


_DATE = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:[.,](\d{1,9})\d*)?\s*(Z|z|[+-]\d\d:?\d\d)?",
)


def parse_date(value: object) -> datetime | None:
    """Parse a date and time with any number of fraction digits; one without a zone is UTC. None if it is invalid."""
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


def parse_milliseconds(value: object) -> datetime | None:
    """Parse milliseconds since 1970; None if they are no whole number, or out of range."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < _MAX_MILLISECONDS:
        return None
    return datetime.fromtimestamp(value // 1000, UTC) + timedelta(milliseconds=value % 1000)


_MAX_MILLISECONDS = 253_402_300_800_000
"""The year 10,000."""


def parse_duration(value: object) -> float | None:
    """Convert a duration in milliseconds to seconds; None if it is invalid, or zero, which means unknown."""
    milliseconds = parse_seconds(value)
    return None if milliseconds is None else milliseconds / 1000


def parse_seconds(value: object) -> float | None:
    """Parse a duration in seconds; None if it is invalid, or zero, which means unknown."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    seconds = float(value) if abs(value) < 1e15 else math.inf
    return seconds if 0 < seconds < math.inf else None


def parse_code(value: object) -> str | None:
    """Return a code, an integer or a string, as one printable line; None if it is blank or neither, such as 1e999."""
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        return None
    return one_line(str(value))[:64] or None


def parse_message(value: object) -> str | None:
    """Return a message as one printable line; None if it is no string."""
    return one_line(value) if isinstance(value, str) else None


def parse_error(value: object) -> ErrorDetail | None:
    """Parse an error: null, blank, a string, or an object with a message and a code or a type."""
    if isinstance(value, str):
        return ErrorDetail(message=one_line(value)) if value.strip() else None
    body = as_object(value)
    if not body:
        return None
    code, error_type = parse_code(body.get("code")), parse_code(body.get("type"))
    # Some bodies have the number as a string in `type`, and no `code`. In others the code only repeats the HTTP status,
    # and the type says more.
    if code is None or error_type in CONTENT_REJECTED_CODES:
        code = error_type or code
    return ErrorDetail(code=code, message=parse_message(body.get("message")))


_OUTPUT_KEYS = ("outputs", "output", "result", "url", "image_url", "video_url", "image_urls", "images", "videos")
"""Keys under which clients find outputs, likeliest first. Keys of inputs are left out, since some responses repeat the
input."""


def parse_outputs(value: object, *, depth: int = 0) -> Outputs:
    """Parse outputs: null, a string, a list, or an object that holds them; anything else is ignored."""
    if isinstance(value, str):
        return Outputs((value,) if value.strip() else ())
    if depth >= _MAX_DEPTH:
        return Outputs(())
    items, body = as_list(value), as_object(value)
    if items:
        return Outputs(tuple(text for one in items for text in parse_outputs(one, depth=depth + 1)))
    found = (parse_outputs(body[name], depth=depth + 1) for name in _OUTPUT_KEYS if name in body)
    return next((one for one in found if one), Outputs(()))


_MAX_DEPTH = 4


def _parse_nsfw(value: object) -> NsfwFlag | None:
    flags = [flag for flag in as_list(value) or [value] if isinstance(flag, bool)]
    return NsfwFlag(any(flags)) if flags else None


def register_fields(converter: Converter) -> Converter:
    """Register the fields above with a converter. None of them can fail: an unreadable field counts as missing."""
    converter.register_structure_hook(Outputs, lambda value, _: parse_outputs(value))
    converter.register_structure_hook(Timestamp | None, lambda value, _: parse_date(value))
    converter.register_structure_hook(Milliseconds | None, lambda value, _: parse_duration(value))
    converter.register_structure_hook(NsfwFlag | None, lambda value, _: _parse_nsfw(value))
    converter.register_structure_hook(ErrorDetail | None, lambda value, _: parse_error(value))
    return converter


def parse_output(value: str, *, kind: OutputKind) -> Output | None:
    """Parse an output: a URL, a data URI, or bare base64; None if it is none of these."""
    text = value.strip()
    if re.match(r"https?://[^\s/]", text):
        return Output(url=quoted(text), kind=kind)
    if text.startswith("data:"):
        mime = text[5:].partition(";")[0].partition("/")[0]
        return Output(url=text, kind=OutputKind(mime) if mime in tuple(OutputKind) else kind)
    try:
        head = base64.b64decode(text[: 4 * SNIFF_LENGTH], validate=True)
    except ValueError:
        head = b""
    media = sniff(head)
    return None if media is None else Output(url=f"data:{media.mime};base64,{text}", kind=media.kind)


_CAMEL_CASE_BOUNDARY = re.compile(r"(?<=[a-z0-9])([A-Z])")


def _to_snake_case(name: str) -> str:
    return _CAMEL_CASE_BOUNDARY.sub(r"_\1", name).lower()


def snake_case_keys(value: Mapping[str, Json]) -> dict[str, Json]:
    """Return an object with its keys in snake_case, since the same record comes in both spellings."""
    return {name if name.islower() else _to_snake_case(name): one for name, one in value.items()}


def as_object(value: object) -> Mapping[str, Any]:
    """Return a JSON object, or an empty one in place of anything else."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def as_list(value: object) -> list[object]:
    """Return a JSON list, or an empty one in place of anything else."""
    return cast("list[object]", value) if isinstance(value, list) else []
