"""Receive Ctrl-C and SIGTERM as calls in the event loop."""

from __future__ import annotations

import os
import signal
from collections import deque
from collections.abc import Callable
from types import FrameType
from typing import TypeAlias

import anyio

from ..system.interrupts import defer_interrupts
from ..system.loops import call_soon

__all__ = ["receive_signals"]

_Handler: TypeAlias = Callable[[int, FrameType | None], object]


@defer_interrupts
async def receive_signals(on_signal: Callable[[], bool]) -> None:
    """Call a function at each Ctrl-C or SIGTERM until it returns False; then restore the handlers of before.

    A signal that arrives too late is raised again. `anyio.open_signal_receiver` would lose it under asyncio, and would
    not give SIGINT back to `asyncio.run`.

    Raises:
        RuntimeError: signals cannot be received here: outside the main thread, or on Windows.
    """
    soon, received, arrived = call_soon(), deque[int](), anyio.Event()

    def receive(number: int, _: FrameType | None) -> None:
        received.append(number)
        soon(lambda: arrived.set())  # noqa: PLW0108 - the event of that moment, not of this one

    before = _handle_with(receive)
    try:
        while True:
            while received:
                received.popleft()
                if not on_signal():
                    return
            arrived = anyio.Event()
            await arrived.wait()
    finally:
        for one, handler in before.items():
            if handler is not None:  # it was set from C, and cannot be set again from here
                signal.signal(one, handler)
        for number in received:
            signal.raise_signal(number)


def _handle_with(receive: _Handler) -> dict[signal.Signals, _Handler | int | None]:
    """Install a handler for the signals, and return the handlers of before."""
    if os.name == "nt":
        raise RuntimeError("stop_on_signals needs a system where asyncio can receive signals; Windows cannot")
    try:
        return {number: signal.signal(number, receive) for number in (signal.SIGINT, signal.SIGTERM)}
    except ValueError as error:
        raise RuntimeError(f"stop_on_signals needs the main thread: {error}") from error
