"""One call into an event loop in another thread, and the Ctrl-C that arrives while its caller waits."""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Final, Generic, TypeVar

import anyio

from ..system.interrupts import ForwardedInterrupts
from ..system.loops import CallSoon

__all__ = ["CLOSED", "Call", "interrupts_counted"]

T = TypeVar("T")

CLOSED: Final = "The client is closed: make a new one with Client()"

_log = logging.getLogger(__name__)

_SLICE: Final = 0.25
"""Seconds between two checks of a waiting caller that the event loop is alive."""
_PATIENCE: Final = 1.5
"""Seconds from the second Ctrl-C until a caller leaves, even if the event loop does not answer."""


class Call(Generic[T]):
    """A call, made in one thread and run in the event loop of another.

    Args:
        function: what is called.
        schedule: schedules a function in the event loop.
        interrupts: pass Ctrl-C on to the event loop.
        closing: whether Ctrl-C is passed on to the function, rather than cancelling it.
    """

    def __init__(
        self,
        function: Callable[[], Awaitable[T]],
        *,
        schedule: CallSoon,
        interrupts: ForwardedInterrupts,
        closing: bool,
    ) -> None:
        self._function = function
        self._schedule = schedule
        self._interrupts = interrupts
        self._closing = closing
        self._starts_anew = not closing and threading.current_thread() is threading.main_thread()
        self._scope: anyio.CancelScope | None = None
        self._cancelled = False
        self._done = threading.Event()
        self._returned: list[T] = []
        self._error: BaseException | None = None
        self._received = 0
        self._leave_at: float | None = None

    # In the event loop.

    async def run(self) -> None:
        """Run the function, and keep what it returns or raises."""
        if self._starts_anew:
            self._interrupts.count = 0  # the program has gone on after those of before
        try:
            with self._interrupts.applied(), anyio.CancelScope() as self._scope:
                if self._cancelled:
                    self._scope.cancel()
                self._returned.append(await self._function())
        except anyio.get_cancelled_exc_class():
            self._error = RuntimeError(CLOSED)
            raise
        except BaseException as error:  # noqa: BLE001 - raised in the caller
            self._error = error
        finally:
            self._done.set()

    def _cancel_now(self) -> None:
        self._cancelled = True
        if self._scope is not None:
            self._scope.cancel()

    # In the thread of the caller.

    def wait(self, is_over: Callable[[], bool]) -> None:
        """Wait for its end. Raises RuntimeError if the event loop ends before."""
        while not self._done.wait(_SLICE):
            if self._leave_at is not None and time.monotonic() > self._leave_at:
                raise KeyboardInterrupt
            if is_over() and not self._done.is_set():
                raise RuntimeError(CLOSED)

    def cancel(self) -> None:
        """Cancel it, and wait for nothing; any thread or signal handler may do it."""
        with suppress(RuntimeError):  # the event loop has ended
            self._schedule(self._cancel_now)

    def interrupt(self) -> None:
        """Take a Ctrl-C, in the signal handler. Raises KeyboardInterrupt at the second one, unless it is closing."""
        self._received += 1
        self._interrupts.add()
        if self._closing:
            # What closes has counted the Ctrl-C that began it.
            self._leave_at = time.monotonic() + _PATIENCE
            return
        self.cancel()
        if self._received > 1:
            raise KeyboardInterrupt

    def result(self) -> T:
        """Return what the function has returned, or raise what it has raised, or KeyboardInterrupt."""
        error, self._error = self._error, None
        if self._received and self._returned and self._returned[0] is not None:
            _log.warning("interrupted by Ctrl-C, after the call had returned %r", self._returned[0])
        if self._received or (self._cancelled and not self._returned and error is None):
            raise KeyboardInterrupt
        if error is not None:
            raise error
        return self._returned.pop()


@contextmanager
def interrupts_counted(call: Call[T]) -> Generator[None]:
    """Let a call take each Ctrl-C, if this is the main thread and the program has no handler of its own."""
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or before is not signal.default_int_handler:
        yield
        return

    def receive(_: int, __: FrameType | None) -> None:
        call.interrupt()

    signal.signal(signal.SIGINT, receive)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
