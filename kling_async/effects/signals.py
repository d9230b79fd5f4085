"""Ctrl-C and SIGTERM: received as events, or kept out of code that must not stop in the middle."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FrameType
from typing import ParamSpec, TypeAlias, TypeVar

import anyio

from ..errors import InputError
from .loops import call_soon

__all__ = [
    "apply_protection",
    "call_interruptible",
    "defer_interrupts",
    "hear_signals",
    "interruptible",
    "interrupts_received",
    "interrupts_resent",
    "is_interrupt",
    "resend_interrupt",
]

_P = ParamSpec("_P")
T = TypeVar("T")

_Function = TypeVar("_Function", bound=Callable[..., object])

_Handler: TypeAlias = Callable[[int, FrameType | None], object]

_deferred: list[Callable[..., object]] = []
_interruptible: list[Callable[..., object]] = []
"""Functions that trio has not been told about."""


def defer_interrupts(function: _Function) -> _Function:
    """Keep Ctrl-C out of a function and of all that it calls: it arrives at the program's own next await instead.

    trio otherwise raises KeyboardInterrupt in whatever line runs, also behind a shield, and between two steps that
    belong together. asyncio cancels the program's task, which needs no such care, so nothing is done for it.
    """
    _deferred.append(function)
    return function


def interruptible(function: _Function) -> _Function:
    """Let Ctrl-C into a function, and all that it calls, again: it runs the user's code, which may never return."""
    _interruptible.append(function)
    return function


def apply_protection() -> None:
    """Tell trio which functions to keep Ctrl-C out of; cheap, and nothing at all where trio is not imported."""
    if not _deferred and not _interruptible:
        return
    if "trio" in sys.modules:
        from trio.lowlevel import disable_ki_protection, enable_ki_protection  # noqa: PLC0415 - asyncio needs no trio

        while _deferred:
            enable_ki_protection(_deferred.pop())
        while _interruptible:
            disable_ki_protection(_interruptible.pop())


@interruptible
def _call(function: Callable[_P, T], *args: _P.args, **kwargs: _P.kwargs) -> T:
    return function(*args, **kwargs)


@defer_interrupts
def call_interruptible(function: Callable[_P, None], *args: _P.args, **kwargs: _P.kwargs) -> None:
    """Call a function of the user's, which Ctrl-C may end; the program then hears of it at its own next await."""
    try:
        _call(function, *args, **kwargs)
    except KeyboardInterrupt:
        resend_interrupt()


def is_interrupt(error: BaseException | None) -> bool:
    """Return whether an error is Ctrl-C, by itself or in the groups of the program's own task groups."""
    if isinstance(error, BaseExceptionGroup):
        return error.split(KeyboardInterrupt)[0] is not None  # pyright: ignore[reportUnknownMemberType]
    return isinstance(error, KeyboardInterrupt)


@contextmanager
def interrupts_resent() -> Generator[None]:
    """Make a lost connection of Ctrl-C that strikes a task of a library's own, and send it again, to the program.

    trio and anyio connect in tasks that they start themselves, out of which it would come wrapped in a group.

    Raises:
        ConnectionError: it struck.
    """
    try:
        yield
    except BaseExceptionGroup as error:
        if not is_interrupt(error):
            raise
        resend_interrupt()
        raise ConnectionError("Ctrl-C struck while it was being connected") from None


def resend_interrupt() -> None:
    """Send Ctrl-C once more, now to the program: it struck code of the user's in a task that is not the user's."""
    signal.raise_signal(signal.SIGINT)


@contextmanager
def interrupts_received(react: Callable[[], object]) -> Generator[int]:
    """Have a function called in the event loop at each Ctrl-C, and send it again at the end; give how many came before.

    For a while in which the package waits for its own end. asyncio would raise the second one in whatever line runs,
    also in its own, and a task that misses its wake-up then is waited for without end. trio needs nothing of the kind,
    and a handler of the program's own stays in place.
    """
    handler = signal.getsignal(signal.SIGINT)
    count = _interrupts_of(handler)
    if count is None or threading.current_thread() is not threading.main_thread():
        yield 0
        return
    soon, came, over = call_soon(), list[int](), False

    def receive(number: int, frame: FrameType | None) -> None:
        if not over:
            came.append(number)
            soon(react)
        elif callable(handler):  # a handler that was set and taken back meanwhile has put this one back
            handler(number, frame)

    signal.signal(signal.SIGINT, receive)
    try:
        yield count
    finally:
        over = True
        if signal.getsignal(signal.SIGINT) is receive:
            signal.signal(signal.SIGINT, handler)
        for _ in came:
            resend_interrupt()


def _interrupts_of(handler: object) -> int | None:
    """Return how many interrupts asyncio's handler has had; None if it is none of Python's, or of this event loop."""
    runner = getattr(getattr(handler, "func", None), "__self__", None)
    if isinstance(runner, asyncio.Runner):
        try:
            if runner.get_loop() is not asyncio.get_running_loop():
                return None
        except RuntimeError:  # it is closed
            return None
        # Not public. Where it cannot be seen, it takes one Ctrl-C more.
        count = getattr(runner, "_interrupt_count", 0)
        return count if isinstance(count, int) else 0
    return 0 if handler is signal.default_int_handler else None


@defer_interrupts
async def hear_signals(heard: Callable[[], bool]) -> None:
    """Call a function at each Ctrl-C or SIGTERM, until it returns False; then they mean again what they meant before.

    One that comes too late to be heard is raised anew. `anyio.open_signal_receiver` would lose it under asyncio, and
    would not give SIGINT back to `asyncio.run`.

    Raises:
        InputError: signals cannot be heard here: outside the main thread, or on Windows.
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
                if not heard():
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
    """Have signals handled by a function, and return what handled them before."""
    if os.name == "nt":
        raise InputError("stop_on_signals needs a system on which asyncio can receive signals, so no Windows")
    try:
        return {number: signal.signal(number, receive) for number in (signal.SIGINT, signal.SIGTERM)}
    except ValueError as error:
        raise InputError(f"stop_on_signals needs the main thread: {error}") from error
