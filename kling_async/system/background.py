"""Background tasks: a context manager that a task of its own enters, holds open and exits.

Theory of operation. A task group must be exited by the task that entered it, and an exception in that task meanwhile,
such as Ctrl-C, breaks the group or leaves it wrapped. So the package's context managers are entered and exited by a
task that belongs to the event loop. No cancel scope of the user's reaches it, trio raises no KeyboardInterrupt in it,
and any task may close it. The caller of `aclose` waits until it has exited, however often that wait is cancelled. If it
is never closed, it exits when the event loop ends.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from types import TracebackType
from typing import Final, Self, TypeVarTuple

import anyio

from .interrupts import apply_protection, defer_interrupts, interrupts_received, is_interrupt, resend_interrupt
from .loops import start_detached

__all__ = ["Background", "Tasks"]

_Args = TypeVarTuple("_Args")

_log = logging.getLogger(__name__)

_CUT_OFF_SECONDS: Final = 0.7
"""Seconds left to requests in flight after a second Ctrl-C, and again after `cut_off`."""


class Background:
    """Holds a context manager open in a task of its own; it is opened once, and closed once.

    Args:
        hold: makes the context manager.
        cut_off: ends at once the work that its exit waits for; called after a second Ctrl-C.
    """

    def __init__(
        self, hold: Callable[[], AbstractAsyncContextManager[object]], *, cut_off: Callable[[], None] | None = None
    ) -> None:
        self._hold = hold
        self._cut_off = cut_off
        self._entered, self._leave, self._left = anyio.Event(), anyio.Event(), anyio.Event()
        self._started = False
        self._interrupts = 0
        self._waiting = anyio.CancelScope()
        self._error: BaseException | None = None

    @property
    def has_left(self) -> bool:
        """Whether the context manager has exited."""
        return self._left.is_set()

    @defer_interrupts
    async def open(self) -> None:
        """Enter the context manager, and raise its errors; if this is cancelled meanwhile, it is exited again."""
        apply_protection()
        self._started = True
        start_detached(self._live, ended=self._over)
        try:
            await self._entered.wait()
        except BaseException as error:
            await self.aclose(interrupts=is_interrupt(error), ending=error)
            raise
        self._raise_error(None)

    @defer_interrupts
    async def aclose(self, *, interrupts: int = 0, ending: BaseException | None = None) -> None:
        """Exit the context manager, and return once it has exited; cancellations and interrupts are raised afterwards.

        Without effect if it was never opened, or has exited.

        Args:
            interrupts: the number of Ctrl-C before. From the second on, counted from before or during this call, the
                work that the exit waits for is cut off after a moment.
            ending: the exception that ends the caller. An error of the exit is logged rather than raised in place of
                Ctrl-C or a cancellation.

        Raises:
            BaseException: the error of the exit, or the one that ended it before.
        """
        if not self._started:
            return
        self._leave.set()
        with interrupts_received(self._interrupted) as before:
            self._interrupts = max(before, interrupts)
            received = await self._wait(math.inf, until=2)
            received += await self._wait(_CUT_OFF_SECONDS, until=3)
            if not self._left.is_set() and self._cut_off is not None:
                self._cut_off()
                received += await self._wait(_CUT_OFF_SECONDS, until=4)
        if received:
            raise received[0]
        self._raise_error(ending)

    async def _wait(self, seconds: float, *, until: int) -> list[BaseException]:
        """Wait for its exit, at most `seconds` and `until` interrupts; return the cancellations and interrupts."""
        received: list[BaseException] = []
        with anyio.move_on_after(seconds, shield=True) as scope:
            while not self._left.is_set() and self._interrupts < until:
                with anyio.CancelScope() as self._waiting:
                    try:
                        await self._left.wait()
                    except (KeyboardInterrupt, anyio.get_cancelled_exc_class()) as error:
                        # asyncio's own cancellation and trio's interrupt ignore a shield.
                        if scope.cancel_called or self._waiting.cancel_called:
                            raise
                        received.append(error)
                        self._interrupts += is_interrupt(error)
        return received

    def _interrupted(self) -> None:
        self._interrupts += 1
        self._waiting.cancel()

    def _raise_error(self, ending: BaseException | None) -> None:
        error, self._error = self._error, None
        if error is None:
            return
        if ending is None or isinstance(ending, Exception):
            raise error
        # One such error is asyncio's own: Ctrl-C cancels the future that `Event.set` is about to set, which then fails.
        _log.error("an error occurred while the program was ending", exc_info=error)

    @defer_interrupts
    async def _live(self) -> None:
        try:
            async with self._hold():
                self._entered.set()
                await self._leave.wait()
        except BaseException as error:  # noqa: BLE001 - raised again by `open` or `aclose`
            if is_interrupt(error):
                resend_interrupt()
            elif not isinstance(error, anyio.get_cancelled_exc_class()):
                self._error = error

    def _over(self) -> None:
        self._left.set()
        self._entered.set()


class Tasks:
    """A group of background tasks; on exit they are cancelled, and have ended.

    A task group of anyio's does not suffice: on trio Ctrl-C may arrive in the frame that calls the function, and leaves
    the group wrapped.
    """

    def __init__(self) -> None:
        self._body = anyio.CancelScope()
        self._scopes: set[anyio.CancelScope] = set()
        self._ended = anyio.Event()
        self._error: BaseException | None = None

    async def __aenter__(self) -> Self:
        self._body.__enter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        suppressed = self._body.__exit__(kind, error, trace)
        for scope in self._scopes:
            scope.cancel()
        with anyio.CancelScope(shield=True):
            while self._scopes:
                self._ended = anyio.Event()
                await self._ended.wait()
        if self._error is not None:
            raise self._error
        return suppressed

    def start(self, function: Callable[[*_Args], Awaitable[None]], *args: *_Args) -> None:
        """Run a coroutine function in a task; an error cancels the body, and is raised on exit."""
        scope = anyio.CancelScope()
        self._scopes.add(scope)
        start_detached(partial(self._run, scope, partial(function, *args)), ended=partial(self._over, scope))

    @defer_interrupts
    async def _run(self, scope: anyio.CancelScope, function: Callable[[], Awaitable[None]]) -> None:
        try:
            with scope:
                await function()
        except Exception as error:  # noqa: BLE001 - raised by __aexit__
            self._error = self._error or error
            self._body.cancel()
        except BaseException as error:
            if not is_interrupt(error):
                raise
            # It arrived in a task that a library has started below this one; it is sent again, to the program.
            self._body.cancel()
            resend_interrupt()

    def _over(self, scope: anyio.CancelScope) -> None:
        self._scopes.discard(scope)
        if not self._scopes:
            self._ended.set()
