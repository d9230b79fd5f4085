"""Functions of event loops that asyncio and trio share and anyio lacks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import copy_context
from typing import Any, Protocol, TypeAlias

import anyio
import sniffio

__all__ = ["CallSoon", "SharedEvent", "call_soon", "shared_event", "start_detached"]

CallSoon: TypeAlias = Callable[[Callable[[], object]], object]
"""Schedules a function in the event loop, from any thread or signal handler; RuntimeError once the loop is closed."""

_running: set[asyncio.Task[None]] = set()
"""Strong references: asyncio itself holds tasks weakly."""


class SharedEvent(Protocol):
    """An event that is set once, and for which many tasks wait."""

    def wait(self) -> Awaitable[None]:
        """Wait until it is set."""
        ...

    def set(self) -> None:
        """Wake all tasks that wait for it."""
        ...


class _AsyncioEvent:
    """What `asyncio.Event` does, at half its cost: it has no list of waiters to keep in order."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._waiters: list[asyncio.Future[None]] = []
        self._is_set = False

    def wait(self) -> Awaitable[None]:
        waiter = self._loop.create_future()
        if self._is_set:
            waiter.set_result(None)
        else:
            self._waiters.append(waiter)
        return waiter

    def set(self) -> None:
        self._is_set = True
        for waiter in self._waiters:
            if not waiter.done():  # a cancelled task has cancelled its own
                waiter.set_result(None)
        self._waiters.clear()


def shared_event() -> SharedEvent:
    """Return an event of the running event loop. It is called in a task: asyncio's callbacks do not name their loop."""
    return anyio.Event() if sniffio.current_async_library() == "trio" else _AsyncioEvent()


def call_soon() -> CallSoon:
    """Return the function that schedules calls in this event loop, thread-safely."""
    if sniffio.current_async_library() == "trio":
        from trio.lowlevel import current_trio_token  # noqa: PLC0415 - asyncio needs no trio

        return current_trio_token().run_sync_soon
    return asyncio.get_running_loop().call_soon_threadsafe


def start_detached(function: Callable[[], Coroutine[Any, Any, None]], *, ended: Callable[[], object]) -> None:
    """Run a coroutine function in a task without a task group, in a copy of this context; its errors are dropped.

    Only the end of the event loop cancels it. trio raises no KeyboardInterrupt in it.

    Args:
        ended: called when the task has ended. asyncio may cancel a task before its first line has run.
    """
    if sniffio.current_async_library() == "trio":
        from trio.lowlevel import spawn_system_task  # noqa: PLC0415 - as above

        async def run() -> None:
            try:
                await function()
            finally:
                ended()

        spawn_system_task(run, context=copy_context())
        return

    def on_done(task: asyncio.Task[None]) -> None:
        _running.discard(task)
        if not task.cancelled():
            task.exception()  # a KeyboardInterrupt, which has ended the event loop as well, is not logged
        ended()

    task = asyncio.get_running_loop().create_task(function())
    _running.add(task)
    task.add_done_callback(on_done)
