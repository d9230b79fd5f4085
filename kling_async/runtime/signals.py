"""Receive Ctrl-C and SIGTERM as calls in the event loop."""

from __future__ import annotations

import os
import signal
from collections import deque
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import partial
from types import FrameType
from typing import TypeAlias

import anyio

from ..system.interrupts import defer_interrupts, forwarded_interrupts
from ..system.loops import call_soon

__all__ = ["interrupted", "receive_signals", "signals_handled"]

_Handler: TypeAlias = Callable[[int, FrameType | None], object]


def interrupted(open_jobs: int, *, has_journal: bool) -> KeyboardInterrupt:
    """Return the interrupt that ends a batch, with the number of jobs that are open and what to do about them."""
    hint = "run it again with the same journal to go on" if has_journal else "without a journal they are lost sight of"
    return KeyboardInterrupt(f"{open_jobs} jobs go on at their providers; {hint}")


@defer_interrupts
async def receive_signals(on_signal: Callable[[], bool]) -> None:
    """Call a function at each Ctrl-C or SIGTERM until it returns False; then restore the handlers of before.

    A signal that arrives too late is raised again. `anyio.open_signal_receiver` would lose it under asyncio, and would
    not give SIGINT back to `asyncio.run`. Where another thread passes interrupts on, those are received.

    Raises:
        RuntimeError: signals cannot be received here: outside the main thread, or on Windows.
    """
    soon, received, arrived = call_soon(), deque[int](), anyio.Event()

    def receive(number: int, _: FrameType | None) -> None:
        received.append(number)
        soon(lambda: arrived.set())  # noqa: PLW0108 - the event of that moment, not of this one

    forwarded = forwarded_interrupts()
    react = partial(receive, signal.SIGINT, None)
    try:
        with signals_handled(receive) if forwarded is None else forwarded.reacting(react):
            while True:
                while received:
                    received.popleft()
                    if not on_signal():
                        return
                arrived = anyio.Event()
                await arrived.wait()
    finally:
        if forwarded is None:
            for number in received:
                signal.raise_signal(number)


@contextmanager
def signals_handled(receive: _Handler) -> Generator[None]:
    """Call a function at each Ctrl-C and SIGTERM; then restore the handlers of before.

    Raises:
        RuntimeError: signals cannot be received here: outside the main thread, or on Windows.
    """
    before = _handle_with(receive)
    try:
        yield
    finally:
        for one, handler in before.items():
            if handler is not None:  # it was set from C, and cannot be set again from here
                signal.signal(one, handler)


def _handle_with(receive: _Handler) -> dict[signal.Signals, _Handler | int | None]:
    """Install a handler for the signals, and return the handlers of before."""
    if os.name == "nt":
        raise RuntimeError("stop_on_signals needs a system where asyncio can receive signals; Windows cannot")
    try:
        return {number: signal.signal(number, receive) for number in (signal.SIGINT, signal.SIGTERM)}
    except ValueError as error:
        raise RuntimeError(f"stop_on_signals needs the main thread: {error}") from error
