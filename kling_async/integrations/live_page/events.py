"""The server-sent events of a live page: what has changed since the version that the page has."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable, Iterator
from datetime import datetime
from itertools import chain
from typing import Final

import anyio

from ...runs.report.page import Live, render_card, render_parts
from ...runs.report.text import clean
from ...types.errors import KlingError
from .state import RunState, Snapshot

__all__ = ["live_of", "stream"]

_PAUSE: Final = 1.0
"""Seconds between two readings of the state."""
_SILENCE: Final = 15.0
"""Seconds after which a comment is sent, so that a connection that is gone is noticed."""
_CARDS: Final = 100
"""Maximum number of cards in an event: a browser puts them in within one frame or two."""
_RETRY: Final = 2000
"""Milliseconds after which the browser connects again."""


def live_of(state: RunState, snapshot: Snapshot) -> Live:
    """Return what a page of this moment has for its updates."""
    return Live(version=snapshot.version, places=state.places)


async def stream(
    state: RunState, status: Callable[[], dict[str, object]], *, since: int, is_closing: Callable[[], bool]
) -> AsyncGenerator[str]:
    """Yield events until the connection or the server is closed.

    Args:
        state: that of the run.
        status: returns what is told at once when it changes, beside the jobs.
        since: the version that the page has.
        is_closing: whether the server is to close.
    """
    yield f"retry: {_RETRY}\n\n"
    seen, told, silent = since, dict[str, object](), 0.0
    while not is_closing():
        try:
            snapshot = await state.refresh()
        except KlingError:
            snapshot = None  # the status tells why
        events = list[str]()
        if (now := status()) != told:
            events.append(_event("status", now))
            told = now
        # The pages of an earlier start of the server had another token, so a page is never ahead of it.
        updates = iter(()) if snapshot is None or snapshot.version <= seen else _updates(state, snapshot, seen)
        silent += _PAUSE
        for event in chain(events, updates):
            yield event
            silent = 0.0
        seen = seen if snapshot is None else max(seen, snapshot.version)
        if silent >= _SILENCE:
            yield ":\n\n"
            silent = 0.0
        await anyio.sleep(_PAUSE)


def _updates(state: RunState, snapshot: Snapshot, since: int) -> Iterator[str]:
    """Yield the events of a snapshot. Only the last has its version, so that a page that missed one gets all again."""
    live, rows = live_of(state, snapshot), snapshot.newer_than(since)
    for first in range(0, len(rows), _CARDS):
        cards = {row.position: render_card(row, live.places) for row in rows[first : first + _CARDS]}
        yield _event("cards", cards)
    parts = render_parts(snapshot.summary, made_at=datetime.now().astimezone(), live=live)
    is_new = snapshot.layout > since
    choices = {
        name: {clean(text): place for text, place in live.places[name].items()} for name in ("provider", "model")
    }
    yield _event("parts", {"parts": parts, "choices": choices, "layout": is_new}, id=snapshot.version)


def _event(name: str, data: object, *, id: int | None = None) -> str:
    # JSON in ASCII has no line ends, which would end the event, whatever a prompt says.
    number = "" if id is None else f"id: {id}\n"
    return f"{number}event: {name}\ndata: {json.dumps(data)}\n\n"
