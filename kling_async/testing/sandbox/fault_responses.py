"""Responses in place of good ones: what a fault makes of an answer, by each provider's own words."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import evolve

from .http import Delivery, Response, html_response, json_response, parse_json, text_response
from .wire_format import WireFormat

__all__ = ["with_fault"]

_PAGES: Mapping[str, tuple[int, str]] = {
    "error_502": (502, "Bad Gateway"),
    "error_504": (504, "Gateway Time-out"),
    "html": (200, "Please sign in"),
}
_GARBLED_BYTES = 8
"""Bytes of JSON that a garbled response keeps: too few to hold an id."""


def with_fault(name: str, good: Response, wire: WireFormat, *, retry_after: str | None) -> Response:
    """Return the response in place of a good one.

    A fault of a poll or of an upload is named without its prefix.
    """
    if name in {"lost", "dropped"}:
        return evolve(good, body=b"", delivery=Delivery.CUT)
    if name == "hang":
        return evolve(good, delivery=Delivery.NEVER)
    if name == "garbled":
        return evolve(good, body=good.body[:_GARBLED_BYTES])
    if name == "no_id":
        return json_response(wire.without_id(parse_json(good.body)))
    if name in _PAGES:
        return html_response(*_PAGES[name])
    if name == "too_large":
        return text_response("The content is too large.\n", status=413)
    refusal = wire.refuse(name)
    if name in ("rate_limited", "no_slot") and retry_after is not None:
        return evolve(refusal, headers={**refusal.headers, "retry-after": retry_after})
    return refusal
