"""What runs beside its user: a context manager that a task of its own enters, holds open and leaves.

Theory of operation. A task group must be left by the task that entered it, and whatever strikes that task meanwhile,
such as Ctrl-C, breaks the group or comes out of it wrapped. So what the package runs in the background is entered and
left by a task that belongs to the event loop. No cancel scope of the user's reaches it, trio raises no
KeyboardInterrupt in it, and any task may ask it to leave. Whoever asks waits until it has left, however often that wait
is cancelled. If nothing asks before the event loop ends, it leaves then.
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

from .loops import start_detached
from .signals import apply_protection, defer_interrupts, interrupts_received, is_interrupt, resend_interrupt

__all__ = ["Background", "Tasks"]

_Args = TypeVarTuple("_Args")

_log = logging.getLogger(__name__)

_PATIENCE: Final = 0.7
"""Seconds that requests in flight still have after a second Ctrl-C, and again after they are cut off."""


class Background:
    """Holds a context manager open in a task of its own; it is opened once, and closed once.

    Args:
        hold: makes the context manager.
        cut_off: ends at once what it waits for when it is left; called after a second Ctrl-C.
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

    @defer_interrupts
    async def open(self) -> None:
        """Enter it. Raises what entering it raises; if this is cancelled meanwhile, it is left again."""
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
        """Leave it, and return once it is left, however often this is cancelled or interrupted; then raise that.

        One that was never opened, or is left already, stays as it is.

        Args:
            interrupts: how often Ctrl-C was pressed before. From the second time on, here or there, what it waits for
                is cut off after a moment.
            ending: why the caller leaves. An error is logged rather than raised in place of Ctrl-C or a cancellation.

        Raises:
            BaseException: what leaving it raised, or what ended it before.
        """
        if not self._started:
            return
        self._leave.set()
        with interrupts_received(self._interrupted) as before:
            self._interrupts = max(before, interrupts)
            came = await self._wait(math.inf, until=2)
            came += await self._wait(_PATIENCE, until=3)
            if not self._left.is_set() and self._cut_off is not None:
                self._cut_off()
                came += await self._wait(_PATIENCE, until=4)
        if came:
            raise came[0]
        self._raise_error(ending)

    async def _wait(self, seconds: float, *, until: int) -> list[BaseException]:
        """Wait until it is left, for so many seconds, or until so many interrupts came; return what came meanwhile."""
        came: list[BaseException] = []
        with anyio.move_on_after(seconds, shield=True) as scope:
            while not self._left.is_set() and self._interrupts < until:
                with anyio.CancelScope() as self._waiting:
                    try:
                        await self._left.wait()
                    except (KeyboardInterrupt, anyio.get_cancelled_exc_class()) as error:
                        # asyncio's own cancellation and trio's interrupt do not mind a shield.
                        if scope.cancel_called or self._waiting.cancel_called:
                            raise
                        came.append(error)
                        self._interrupts += is_interrupt(error)
        return came

    def _interrupted(self) -> None:
        self._interrupts += 1
        self._waiting.cancel()

    def _raise_error(self, ending: BaseException | None) -> None:
        error, self._error = self._error, None
        if error is None:
            return
        if ending is None or isinstance(ending, Exception):
            raise error
        # One kind is asyncio's own: Ctrl-C cancels what `Event.set` is just about to wake, which fails then.
        _log.error("an error came up while the program was being ended", exc_info=error)

    @defer_interrupts
    async def _live(self) -> None:
        try:
            async with self._hold():
                self._entered.set()
                await self._leave.wait()
        except BaseException as error:  # noqa: BLE001 - raised to whoever opens or closes it
            if is_interrupt(error):
                resend_interrupt()
            elif not isinstance(error, anyio.get_cancelled_exc_class()):
                self._error = error

    def _over(self) -> None:
        self._left.set()
        self._entered.set()


class Tasks:
    """Tasks of the package's own; when this is left they are cancelled, and have ended.

    A task group of anyio's will not do: under trio Ctrl-C may strike the frame from which it calls the function, and
    comes out wrapped in a group.
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
        """Run a coroutine function; what it raises cancels the body, and is raised when this is left."""
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
            # It struck a task that a library has started below this one; the program has to hear of it.
            self._body.cancel()
            resend_interrupt()

    def _over(self, scope: anyio.CancelScope) -> None:
        self._scopes.discard(scope)
        if not self._scopes:
            self._ended.set()
