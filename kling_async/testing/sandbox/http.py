"""Requests and responses of the sandbox, and the responses that belong to no provider."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

from attrs import evolve, field, frozen

from ...types.prediction import Json

__all__ = ["Delivery", "Request", "Response", "html_response", "json_response", "parse_json", "text_response"]


@frozen(kw_only=True)
class Request:
    """One complete request.

    Attributes:
        path: decoded, without the query.
        headers: by lower-case name.
        origin: scheme and host that the caller used; URLs in responses begin with it.
        now: time of arrival in seconds of the clock.
        utc: the same time as a date.
    """

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(factory=dict[str, str])
    body: bytes = b""
    origin: str
    now: float
    utc: datetime


class Delivery(StrEnum):
    """How much of a response is sent."""

    COMPLETE = "complete"
    CUT = "cut"
    """The connection breaks before the response is complete."""
    NEVER = "never"
    """Nothing is ever sent."""


@frozen(kw_only=True)
class Response:
    """One response.

    Attributes:
        delivery: how much of it is sent.
        at: time to send it, in seconds of the clock; None for at once.
        length: Content-Length of a response without a body (HEAD); None is the length of the body.
    """

    status: int
    headers: Mapping[str, str] = field(factory=dict[str, str])
    body: bytes = b""
    delivery: Delivery = Delivery.COMPLETE
    at: float | None = None
    length: int | None = None

    def with_delivery(self, delivery: Delivery) -> Response:
        """Return the same response with another delivery."""
        return evolve(self, delivery=delivery)


def parse_json(body: bytes) -> Json:
    """Parse JSON strictly. Raises ValueError if it is malformed."""
    read: Json = json.loads(body.decode("utf-8"), parse_constant=_refuse_constant)
    return read


def _refuse_constant(word: str) -> Json:
    raise ValueError(f"{word} is not JSON")


def json_response(value: Json, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return a response with a JSON body."""
    body = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
    return Response(status=status, headers={"content-type": "application/json", **(headers or {})}, body=body)


def html_response(status: int, title: str) -> Response:
    """Return an HTML page, as proxies and web frameworks send it."""
    body = f"<!DOCTYPE html><html><head><title>{status} {title}</title></head><body><h1>{title}</h1></body></html>\n"
    return Response(status=status, headers={"content-type": "text/html; charset=utf-8"}, body=body.encode())


def text_response(body: str, *, status: int = 200) -> Response:
    """Return a response in plain text."""
    return Response(status=status, headers={"content-type": "text/plain; charset=utf-8"}, body=body.encode())
