"""Requests and answers as the sandbox sees them, and the answers that belong to no provider."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

from attrs import evolve, field, frozen

from ...prediction import Json

__all__ = ["Answer", "Ending", "Request", "json_answer", "json_of", "page", "text"]


@frozen(kw_only=True)
class Request:
    """One request, whole.

    Attributes:
        path: decoded, without the query.
        headers: by lower-case name.
        origin: scheme and host that the caller used; addresses in answers begin with it.
        now: the clock's seconds when it came.
        utc: the calendar time of the same moment.
    """

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(factory=dict[str, str])
    body: bytes = b""
    origin: str
    now: float
    utc: datetime


class Ending(StrEnum):
    """How an answer ends."""

    WHOLE = "whole"
    CUT = "cut"
    """The connection breaks before the answer is complete."""
    NEVER = "never"
    """Nothing is ever sent."""


@frozen(kw_only=True)
class Answer:
    """What goes back.

    Attributes:
        at: the clock's seconds at which to send it, or None for at once.
        length: what Content-Length claims, for answers without a body (HEAD); None counts the body.
    """

    status: int
    headers: Mapping[str, str] = field(factory=dict[str, str])
    body: bytes = b""
    ending: Ending = Ending.WHOLE
    at: float | None = None
    length: int | None = None

    def ending_in(self, ending: Ending) -> Answer:
        """Return the same answer with another ending."""
        return evolve(self, ending=ending)


def json_of(body: bytes) -> Json:
    """Read JSON strictly; raise ValueError when it is not."""
    read: Json = json.loads(body.decode("utf-8"), parse_constant=_refuse_constant)
    return read


def _refuse_constant(word: str) -> Json:
    raise ValueError(f"{word} is not JSON")


def json_answer(value: Json, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    """Make an answer of a JSON value."""
    body = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
    return Answer(status=status, headers={"content-type": "application/json", **(headers or {})}, body=body)


def page(status: int, title: str) -> Answer:
    """Make an HTML page, as proxies and web frameworks do."""
    body = f"<!DOCTYPE html><html><head><title>{status} {title}</title></head><body><h1>{title}</h1></body></html>\n"
    return Answer(status=status, headers={"content-type": "text/html; charset=utf-8"}, body=body.encode())


def text(body: str, *, status: int = 200) -> Answer:
    """Make a plain text answer."""
    return Answer(status=status, headers={"content-type": "text/plain; charset=utf-8"}, body=body.encode())
