"""What asyncio and trio both have, and anyio gives no common name to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import copy_context
from typing import Any, TypeAlias

import sniffio

__all__ = ["CallSoon", "call_soon", "start_detached"]

CallSoon: TypeAlias = Callable[[Callable[[], object]], object]
"""Has a function called in the event loop, from any thread or signal handler; RuntimeError once the loop is gone."""

_running: set[asyncio.Task[None]] = set()
"""asyncio itself holds tasks weakly."""


def call_soon() -> CallSoon:
    """Return what has functions called in this event loop, from anywhere."""
    if sniffio.current_async_library() == "trio":
        from trio.lowlevel import current_trio_token  # noqa: PLC0415 - asyncio needs no trio

        return current_trio_token().run_sync_soon
    return asyncio.get_running_loop().call_soon_threadsafe


def start_detached(function: Callable[[], Coroutine[Any, Any, None]], *, ended: Callable[[], object]) -> None:
    """Run a coroutine function in a task of no task group, in a copy of this context; it keeps its errors to itself.

    It is cancelled when the event loop ends, and by nothing before. trio raises no KeyboardInterrupt in it.

    Args:
        ended: is called when the task is over. asyncio may cancel one before its first line has run.
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

    def over(task: asyncio.Task[None]) -> None:
        _running.discard(task)
        if not task.cancelled():
            task.exception()  # a KeyboardInterrupt, which has ended the event loop as well: not to be logged, too
        ended()

    task = asyncio.get_running_loop().create_task(function())
    _running.add(task)
    task.add_done_callback(over)
