"""Listeners to the events of a client or a batch: functions that are called, and iterators."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import AsyncIterator
from typing import Self

import anyio

from ..system.interrupts import call_interruptible
from ..types.events import ClosableListener, Event, Listener

__all__ = ["EventListeners"]

_log = logging.getLogger(__name__)


class EventListeners:
    """Functions and iterators that get each event."""

    def __init__(self) -> None:
        self._listeners: list[Listener] = []
        self._closable: list[ClosableListener] = []

    def add(self, listener: Listener) -> None:
        """Call a function with each event from now on."""
        self._listeners.append(listener)
        if isinstance(listener, ClosableListener):
            self._closable.append(listener)

    def stream(self) -> AsyncIterator[Event]:
        """Return an iterator over each event from now on; events wait in it until they are read."""
        stream = _EventStream()
        self.add(stream)
        return stream

    def notify(self, event: Event) -> None:
        """Call each listener; what one of them raises is logged."""
        for listener in self._listeners:
            try:
                call_interruptible(listener, event)
            except (KeyboardInterrupt, SystemExit):
                raise
            except BaseException:  # noqa: BLE001
                # It runs inside a worker, where its mistake would stop all work. That holds for a cancellation,
                # too: nothing can cancel a plain call, so it is that of something else, such as a cancelled future's.
                _log.exception("a listener failed")

    def close(self) -> None:
        """Tell what can be closed that no more events come; iterators end once they are read to the end."""
        for listener in self._closable:
            try:
                listener.close()
            except Exception:  # noqa: BLE001 - what belongs to others must not keep a batch from ending
                _log.exception("a listener failed when it was closed")


class _EventStream:
    """An iterator over events that are put into it."""

    def __init__(self) -> None:
        self._events = deque[Event]()
        self._changed = anyio.Event()
        self._closed = False

    def __call__(self, event: Event) -> None:
        self._events.append(event)
        self._changed.set()

    def close(self) -> None:
        self._closed = True
        self._changed.set()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        while not self._events:
            if self._closed:
                raise StopAsyncIteration
            self._changed = anyio.Event()
            await self._changed.wait()
        return self._events.popleft()
