"""Turns a good answer into the one that a fault asks for."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import evolve

from .http import Answer, Ending, json_answer, json_of, page
from .wire import Wire

__all__ = ["strike"]

_PAGES: Mapping[str, tuple[int, str]] = {
    "error_502": (502, "Bad Gateway"),
    "error_504": (504, "Gateway Time-out"),
    "html": (200, "Please sign in"),
}
_BEGINNING = 8
"""Bytes of JSON that a garbled answer keeps: too few to hold an id."""


def strike(name: str, good: Answer, wire: Wire, *, retry_after: str | None) -> Answer:
    """Return what is sent in place of a good answer; a fault of a poll is named without ``poll_``."""
    if name in {"lost", "dropped"}:
        return evolve(good, body=b"", ending=Ending.CUT)
    if name == "hang":
        return evolve(good, ending=Ending.NEVER)
    if name == "garbled":
        return evolve(good, body=good.body[:_BEGINNING])
    if name == "no_id":
        return json_answer(wire.without_id(json_of(good.body)))
    if name in _PAGES:
        return page(*_PAGES[name])
    refusal = wire.refuse(name)
    if name == "rate_limited" and retry_after is not None:
        return evolve(refusal, headers={**refusal.headers, "retry-after": retry_after})
    return refusal
