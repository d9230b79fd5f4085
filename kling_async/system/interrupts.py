"""Ctrl-C and SIGTERM: received as events, or deferred in code that must not be interrupted."""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from types import FrameType
from typing import ParamSpec, TypeVar

from .loops import CallSoon, call_soon

__all__ = [
    "ForwardedInterrupts",
    "apply_protection",
    "call_interruptible",
    "defer_interrupts",
    "forwarded_interrupts",
    "interruptible",
    "interrupts_received",
    "interrupts_resent",
    "is_interrupt",
    "resend_interrupt",
]

_P = ParamSpec("_P")
T = TypeVar("T")

_Function = TypeVar("_Function", bound=Callable[..., object])


_deferred: list[Callable[..., object]] = []
_interruptible: list[Callable[..., object]] = []
"""Functions not registered with trio yet."""


def defer_interrupts(function: _Function) -> _Function:
    """Defer Ctrl-C in a function and in all that it calls until the program's own next await.

    trio otherwise raises KeyboardInterrupt in any running line, also behind a shield, and between two steps that
    belong together. asyncio cancels the program's task, which needs no such care, so nothing is done for it.
    """
    _deferred.append(function)
    return function


def interruptible(function: _Function) -> _Function:
    """Allow Ctrl-C again in a function and in all that it calls: it runs the user's code, which may never return."""
    _interruptible.append(function)
    return function


def apply_protection() -> None:
    """Register the marked functions with trio; cheap, and without effect where trio is not imported."""
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
    """Call a function of the user's, which Ctrl-C may end; the interrupt then arrives at the program's next await."""
    try:
        _call(function, *args, **kwargs)
    except KeyboardInterrupt:
        resend_interrupt()


def is_interrupt(error: BaseException | None) -> bool:
    """Return whether an error is a KeyboardInterrupt, or an exception group that holds one."""
    if isinstance(error, BaseExceptionGroup):
        return error.split(KeyboardInterrupt)[0] is not None  # pyright: ignore[reportUnknownMemberType]
    return isinstance(error, KeyboardInterrupt)


@contextmanager
def interrupts_resent() -> Generator[None]:
    """Turn Ctrl-C in a task of a library's own into a lost connection, and send it again, to the program.

    trio and anyio connect in tasks that they start themselves; the interrupt would leave these wrapped in a group.

    Raises:
        ConnectionError: an interrupt arrived.
    """
    try:
        yield
    except BaseExceptionGroup as error:
        if not is_interrupt(error):
            raise
        resend_interrupt()
        raise ConnectionError("interrupted by Ctrl-C while connecting") from None


class ForwardedInterrupts:
    """Ctrl-C that the main thread passes on to an event loop in another thread, which can receive no signals.

    Attributes:
        count: the number of interrupts since the last reset; of the event loop.

    Args:
        schedule: schedules a function in that event loop.
    """

    def __init__(self, schedule: CallSoon) -> None:
        self.count = 0
        self._schedule = schedule
        self._reactions: list[Callable[[], object]] = []

    def add(self) -> None:
        """Pass an interrupt on; any thread or signal handler may call it. Without effect once the loop is closed."""
        with suppress(RuntimeError):
            self._schedule(self._react)

    def _react(self) -> None:
        self.count += 1
        for react in list(self._reactions):
            react()

    @contextmanager
    def reacting(self, react: Callable[[], object]) -> Generator[int]:
        """Call a function in the event loop at each interrupt from now on; yields the number of those before."""
        self._reactions.append(react)
        try:
            yield self.count
        finally:
            self._reactions.remove(react)

    @contextmanager
    def applied(self) -> Generator[None]:
        """Let the code in this context, and the tasks that it starts, get its interrupts from here."""
        token = _forwarded.set(self)
        try:
            yield
        finally:
            _forwarded.reset(token)


_forwarded: ContextVar[ForwardedInterrupts | None] = ContextVar("kling_async_interrupts", default=None)


def forwarded_interrupts() -> ForwardedInterrupts | None:
    """Return where this context gets its interrupts from; None if it is from signals."""
    return _forwarded.get()


def resend_interrupt() -> None:
    """Send Ctrl-C again, to the program: it arrived in a task that is not the program's."""
    signal.raise_signal(signal.SIGINT)


@contextmanager
def interrupts_received(react: Callable[[], object]) -> Generator[int]:
    """Call a function in the event loop at each Ctrl-C, and send these again at the end.

    For the time in which the package waits for its own end. asyncio would raise the second Ctrl-C in any running line,
    also of its own, and the wait for a task that misses its wake-up then never ends. trio needs nothing of the kind,
    and a handler of the program's own stays in place.

    Yields:
        the number of interrupts before.
    """
    forwarded = forwarded_interrupts()
    if forwarded is not None:
        with forwarded.reacting(react) as before:
            yield before
        return
    handler = signal.getsignal(signal.SIGINT)
    count = _interrupts_of(handler)
    if count is None or threading.current_thread() is not threading.main_thread():
        yield 0
        return
    schedule, received, done = call_soon(), list[int](), False

    def receive(number: int, frame: FrameType | None) -> None:
        if not done:
            received.append(number)
            schedule(react)
        elif callable(handler):  # a handler that was set and removed meanwhile has restored this one
            handler(number, frame)

    signal.signal(signal.SIGINT, receive)
    try:
        yield count
    finally:
        done = True
        if signal.getsignal(signal.SIGINT) is receive:
            signal.signal(signal.SIGINT, handler)
        for _ in received:
            resend_interrupt()


def _interrupts_of(handler: object) -> int | None:
    """Return how many interrupts asyncio's handler has received; None if it is not Python's, or of another loop."""
    runner = getattr(getattr(handler, "func", None), "__self__", None)
    if isinstance(runner, asyncio.Runner):
        try:
            if runner.get_loop() is not asyncio.get_running_loop():
                return None
        except RuntimeError:  # it is closed
            return None
        # Not public. Where it is missing, one Ctrl-C more is needed.
        count = getattr(runner, "_interrupt_count", 0)
        return count if isinstance(count, int) else 0
    return 0 if handler is signal.default_int_handler else None
