"""Threads of which nothing waits: what blocks in one keeps neither the event loop nor the process from ending.

anyio's worker threads are no daemons under asyncio, and those of asyncio itself are waited for by `asyncio.run`.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from queue import SimpleQueue
from threading import Thread
from typing import Generic, TypeVar

import anyio

from .loops import CallSoon, call_soon

__all__ = ["DaemonThread"]

T = TypeVar("T")


class DaemonThread:
    """One thread that runs one function after the other, in a copy of the context in which this was made.

    Args:
        name: the thread's name.
    """

    def __init__(self, *, name: str) -> None:
        self._soon = call_soon()
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        Thread(target=copy_context().run, args=(_serve, self._calls), name=name, daemon=True).start()

    async def run(self, function: Callable[[], T]) -> T:
        """Run a function in the thread and return what it returns; if this is cancelled, the function goes on alone.

        Raises:
            BaseException: what the function raised.
        """
        call = _Call(function, self._soon)
        self._calls.put(call)
        await call.done.wait()
        return call.result()

    def stop(self) -> None:
        """Let the thread end when it has run what it was given."""
        self._calls.put(None)


class _Call(Generic[T]):
    def __init__(self, function: Callable[[], T], soon: CallSoon) -> None:
        self._function = function
        self._soon = soon
        self._returned: list[T] = []
        self._raised: BaseException | None = None
        self.done = anyio.Event()

    def __call__(self) -> None:
        try:
            self._returned.append(self._function())
        except BaseException as error:  # noqa: BLE001 - raised where it was called from
            self._raised = error
        with suppress(RuntimeError):  # the event loop is gone, and nothing waits for it any more
            self._soon(self.done.set)

    def result(self) -> T:
        error, self._raised = self._raised, None
        if error is not None:
            raise error
        return self._returned[0]


def _serve(calls: SimpleQueue[Callable[[], None] | None]) -> None:
    while (call := calls.get()) is not None:
        call()
        del call  # what it returned is not kept until the next one comes
