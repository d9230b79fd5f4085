"""An event loop in a thread of its own, and calls into it from programs without one.

Theory of operation. The event loop runs in a daemon thread, which keeps no program from ending. A call runs as a task
in that loop, and its caller waits. Signals reach the main thread only: while it waits, a handler counts Ctrl-C instead
of raising it in some line of the package. The first one cancels the task, as asyncio would, and the caller waits for
its end; the second one is raised at once. A call that closes something is not cancelled: it is told of each Ctrl-C.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator
from contextlib import suppress
from functools import partial
from typing import TypeVar

import anyio
import sniffio
from anyio.from_thread import BlockingPortal

from ..runtime.tracebacks import shorten
from ..system.interrupts import ForwardedInterrupts
from ..system.loops import CallSoon, call_soon
from ..types.errors import InputError
from .calls import CLOSED, Call, interrupts_counted
from .iteration import End, Pump, next_of

__all__ = ["Portal", "check_caller"]

T = TypeVar("T")


class Portal:
    """An event loop in a daemon thread; any other thread may call into it.

    Attributes:
        interrupts: pass Ctrl-C on to the event loop.
    """

    interrupts: ForwardedInterrupts
    _inner: BlockingPortal
    _schedule: CallSoon

    def __init__(self) -> None:
        self._process = os.getpid()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="kling-async blocking", daemon=True)
        self._thread.start()
        self._ready.wait()

    def _run(self) -> None:
        try:
            anyio.run(self._serve)
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        async with BlockingPortal() as self._inner:
            self._schedule = call_soon()
            self.interrupts = ForwardedInterrupts(self._schedule)
            self._ready.set()
            await self._inner.sleep_until_stopped()

    @property
    def is_over(self) -> bool:
        """Whether the event loop has ended, or belongs to the process that this one was forked from."""
        return os.getpid() != self._process or not self._thread.is_alive()

    def call(self, function: Callable[[], Awaitable[T]], *, closing: bool = False) -> T:
        """Run a function in the event loop, and return its result.

        Args:
            function: the function.
            closing: whether Ctrl-C is passed on to it, rather than cancelling it.

        Raises:
            BaseException: the function's own.
            KeyboardInterrupt: it was interrupted.
            RuntimeError: it cannot be called here, or the event loop has ended.
        """
        self.check()
        call = Call(function, schedule=self._schedule, interrupts=self.interrupts, closing=closing)
        with interrupts_counted(call):
            try:
                self._inner.start_task_soon(call.run)
                call.wait(lambda: self.is_over)
            except BaseException:
                call.cancel()
                raise
        try:
            return call.result()
        except InputError as error:
            shorten(error)
            raise

    def run(self, function: Callable[[], T]) -> T:
        """Run a quick function in the event loop, and return what it returns. Raises RuntimeError as `call` does."""

        async def run() -> T:
            return function()

        return self.call(run, closing=True)

    def read(self, function: Callable[[], T]) -> T:
        """Return what a quick function returns: in the event loop, or here once that has ended."""
        return function() if self.is_over or self._is_current else self.run(function)

    def iterate(self, items: AsyncIterator[T]) -> Generator[T]:
        """Iterate over an iterator each of whose steps may run in another task."""
        while not isinstance(item := self.call(partial(next_of, items)), End):
            yield item

    def pump(self, make: Callable[[], AsyncGenerator[T]]) -> Generator[T]:
        """Iterate over an asynchronous generator, which runs in one task; it is closed with the returned one."""

        async def start() -> Pump[T]:
            return Pump(make())

        pump = self.call(start)
        try:
            while not isinstance(item := self.call(pump.next), End):
                yield item
        finally:
            if not self.is_over:
                self.call(pump.aclose, closing=True)

    def stop(self) -> None:
        """End the event loop; calls that still wait raise RuntimeError."""
        if self.is_over:
            return
        with suppress(RuntimeError):  # it is ending already
            self._inner.start_task_soon(partial(self._inner.stop, cancel_remaining=True))
        self._thread.join(0.1 if self.interrupts.count > 1 else 1.0)

    @property
    def _is_current(self) -> bool:
        return threading.current_thread() is self._thread

    def check(self) -> None:
        """Raise RuntimeError if it cannot be called here, or the event loop has ended."""
        if self._is_current:
            raise RuntimeError(
                "A listener cannot wait for the event loop that calls it: call the client from another thread"
            )
        check_caller()
        if os.getpid() != self._process:
            raise RuntimeError(
                f"This client was opened in process {self._process}, from which this one was forked; its event loop "
                "and its connections are not here. Make a client in each process"
            )
        if self.is_over:
            raise RuntimeError(CLOSED)


def check_caller() -> None:
    """Raise RuntimeError if an event loop runs in this thread: a call that waits would stop it."""
    try:
        asyncio.get_running_loop()
        library = "asyncio"
    except RuntimeError:
        try:
            library = sniffio.current_async_library()
        except sniffio.AsyncLibraryNotFoundError:
            return
        if library != "trio":  # a thread that was started by one has inherited the name
            return
    raise RuntimeError(
        f"A call of kling_async.blocking would stop the {library} event loop that runs in this thread. Use "
        "`async with kling_async.Client() as client` and `await` there, as in a notebook, too"
    )
