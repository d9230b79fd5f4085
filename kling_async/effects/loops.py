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


def start_detached(function: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a coroutine function, which raises nothing, in a task of no task group, in a copy of this context.

    It is cancelled when the event loop ends, and by nothing before. trio raises no KeyboardInterrupt in it.
    """
    if sniffio.current_async_library() == "trio":
        from trio.lowlevel import spawn_system_task  # noqa: PLC0415 - as above

        spawn_system_task(function, context=copy_context())
        return
    task = asyncio.get_running_loop().create_task(function())
    _running.add(task)
    task.add_done_callback(_running.discard)
